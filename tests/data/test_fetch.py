"""Downloads against a server on this machine that breaks off, lies and changes."""

import hashlib
import io
import json
import os
import runpy
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lrpbook_lib.data.sets.fetch import (
    Download,
    FetchError,
    fetch,
    fetch_cheng,
    fetch_msd,
)

ROOT = Path(__file__).resolve().parents[2]
BODY = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves `files`; `break_after` cuts a reply, `ranges` allows continuing."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/body": BODY}
        self.break_after: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server: Server = self.server  # type: ignore[assignment]
        span = self.headers.get("Range")
        server.asked.append((self.path, span))
        body = server.files.get(self.path.partition("?")[0])
        if body is None:
            self.send_error(404)
            return
        tag = hashlib.md5(body).hexdigest()
        start = 0
        if span and server.ranges and self.headers.get("If-Range", tag) == tag:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body)
        if server.break_after:
            end = min(end, start + server.break_after.pop(0))
        self.wfile.write(body[start:end])
        if end < len(body):
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


def item(server, body=BODY, name="body"):
    return Download(f"{server.url}/{name}", "body.bin", f"md5:{md5(body)}")


def md5(body: bytes) -> str:
    return hashlib.md5(body).hexdigest()


def test_plain_download_happens_once(server, tmp_path):
    path = fetch(item(server), tmp_path)
    assert path.read_bytes() == BODY
    fetch(item(server), tmp_path)
    assert len(server.asked) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["body.bin"]


def test_broken_connection_is_continued(server, tmp_path):
    server.break_after = [300_000, 200_000]
    path = fetch(item(server), tmp_path, wait=0)
    assert path.read_bytes() == BODY
    spans = [span for _, span in server.asked]
    assert spans[0] is None and len(spans) == 3
    assert all(int(s.removeprefix("bytes=").rstrip("-")) > 100_000 for s in spans[1:])


def test_part_survives_and_the_next_run_continues(server, tmp_path):
    server.break_after = [400_000] + [0] * 3
    with pytest.raises(FetchError, match=r"bytes are kept.*run the same command"):
        fetch(item(server), tmp_path, attempts=2, wait=0)
    kept = (tmp_path / "body.bin.partial").stat().st_size
    assert 300_000 < kept < len(BODY) and not (tmp_path / "body.bin").exists()
    server.break_after = []
    assert fetch(item(server), tmp_path).read_bytes() == BODY
    assert server.asked[-1][1] == f"bytes={kept}-"
    assert [p.name for p in tmp_path.iterdir()] == ["body.bin"]


def test_server_that_cannot_continue_sends_the_whole(server, tmp_path):
    server.ranges, server.break_after = False, [300_000]
    assert fetch(item(server), tmp_path, wait=0).read_bytes() == BODY


def test_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    server.break_after = [300_000, 0]
    with pytest.raises(FetchError):
        fetch(item(server), tmp_path, attempts=2, wait=0)
    new = BODY[::-1]
    server.files["/body"] = new
    assert fetch(item(server, new), tmp_path, wait=0).read_bytes() == new


def test_corrupted_download_is_removed_and_told(server, tmp_path):
    damaged = bytearray(BODY)
    damaged[1000] ^= 1
    server.files["/body"] = bytes(damaged)
    with pytest.raises(FetchError, match="arrived damaged"):
        fetch(item(server), tmp_path)
    assert not list(tmp_path.iterdir())
    server.files["/body"] = BODY
    assert fetch(item(server), tmp_path).read_bytes() == BODY


def test_missing_file_and_dead_server(server, tmp_path):
    with pytest.raises(FetchError, match="HTTP 404"):
        fetch(item(server, name="nothing"), tmp_path)
    dead = Download("http://127.0.0.1:9/x", "x", "md5:" + 32 * "0")
    with pytest.raises(FetchError, match="broke 2 times"):
        fetch(dead, tmp_path, attempts=2, wait=0)


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return buffer.getvalue()


def serve_cheng(server):
    body = zipped(**{"1.mat": b"one", "2.mat": b"two"})
    server.files["/a.zip"] = body
    listing = [
        {
            "name": "brainTumorDataPublic_1-766.zip",
            "download_url": f"{server.url}/a.zip",
            "computed_md5": md5(body),
        },
        {"name": "README.txt", "download_url": "x", "computed_md5": "x"},
    ]
    server.files["/articles/1512427/files"] = json.dumps(listing).encode()


def test_cheng_comes_with_figshares_checksums(server, tmp_path):
    serve_cheng(server)
    folder = fetch_cheng(tmp_path, api=server.url)
    assert sorted(p.name for p in folder.rglob("*.mat")) == ["1.mat", "2.mat"]
    server.files["/articles/1512427/files"] = b"<html>busy</html>"
    with pytest.raises(FetchError, match="list of files"):
        fetch_cheng(tmp_path / "b", api=server.url)


def tarred(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 4
        archive.addfile(info, io.BytesIO(b"data"))
    return buffer.getvalue()


def test_msd_is_unpacked_whole_or_not_at_all(server, tmp_path):
    good = tarred("Task01_BrainTumour/imagesTr/BRATS_001.nii.gz")
    bad = tarred("../outside.txt")
    server.files |= {"/good": good, "/bad": bad}
    with pytest.raises(FetchError, match="cannot be unpacked"):
        fetch_msd(
            tmp_path / "a", Download(f"{server.url}/bad", "b.tar", f"md5:{md5(bad)}")
        )
    assert (
        not (tmp_path / "a" / "msd").exists()
        and not (tmp_path / "outside.txt").exists()
    )
    where = Download(f"{server.url}/good", "g.tar", f"md5:{md5(good)}")
    folder = fetch_msd(tmp_path / "b", where)
    assert (folder / "Task01_BrainTumour/imagesTr/BRATS_001.nii.gz").exists()


def script(name, *arguments, **variables):
    return subprocess.run(
        [
            sys.executable,
            str(ROOT / "data_scripts" / f"{name}.py"),
            *map(str, arguments),
        ],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )


def one_line(result, *words):
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert all(word in result.stderr for word in words), result.stderr


def test_fetch_scripts_say_errors_in_a_line(server, tmp_path):
    serve_cheng(server)
    done = script("fetch_cheng", "--folder", tmp_path, "--api", server.url)
    assert done.returncode == 0 and "cases in" in done.stdout, done.stderr
    bad = script(
        "fetch_msd",
        "--folder",
        tmp_path,
        "--url",
        f"{server.url}/no",
        "--checksum",
        "md5:" + 32 * "0",
    )
    one_line(bad, "fetch_msd.py", "HTTP 404")
    assert len(bad.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("fetch_synapse", [], ["synapseclient", "SYNAPSE_AUTH_TOKEN", "access form"]),
        ("fetch_kaggle", ["brats2020"], ["pip install kaggle", "kaggle.json"]),
        ("fetch_tcia", ["ucsf-pdgm"], ["cancerimagingarchive.net", "--url"]),
    ],
)
def test_accounts_and_tokens_are_explained(tmp_path, name, arguments, words):
    result = script(name, *arguments, "--folder", tmp_path, PATH="/nowhere")
    one_line(result, *words)


def test_client_failures_repeat_the_steps(tmp_path):
    fake = tmp_path / "bin" / "kaggle"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    paths = f"{fake.parent}:{os.environ['PATH']}"
    result = script("fetch_kaggle", "tcga-lgg", "--folder", tmp_path, PATH=paths)
    one_line(result, "status 3", "kaggle.json")


def test_scripts_from_phantom_to_slices(tmp_path, monkeypatch, capsys):
    def call(name, *arguments):
        path = ROOT / "data_scripts" / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as end:
            return end.code, capsys.readouterr().err
        return 0, capsys.readouterr().out

    root, out = tmp_path / "phantom", tmp_path / "slices"
    small = ("--patients", 2, "--spacing", 6, "--workers", 1)
    code, said = call("make_phantom", root, *small)
    assert code == 0 and "2 synthetic patients" in said
    assert "synthetic" in (root / "CARD.md").read_text().lower()
    code, said = call("make_phantom", root, *small)  # again: no work, no complaint
    assert code == 0
    code, said = call("prepare_slices", root, out, "--size", 32, "--workers", 1)
    assert code == 0 and "Phantom" in said and (out / "images.npy").exists()
    code, said = call("make_phantom", root, "--patients", 3, "--spacing", 6)
    assert code == 1 and said.startswith("make_phantom.py: ") and "patients=2" in said
    (tmp_path / "empty").mkdir()
    code, said = call("prepare_slices", tmp_path / "empty", out)
    assert code == 1 and "no case of a known release" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("checksum", ["", "md5:abc", "md4:" + 32 * "0", 64 * "0"])
def test_a_checksum_that_is_none_is_said_before_the_download(checksum):
    with pytest.raises(ValueError, match="checksum"):
        Download("http://127.0.0.1:9/x", "x", checksum)


@pytest.mark.parametrize("name", ["stamp_site_grade", "stamp_who_grades"])
def test_asking_a_stamp_script_for_help_stamps_nothing(name):
    reply = subprocess.run(
        [sys.executable, str(ROOT / "data_scripts" / f"{name}.py"), "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "LRPBOOK_DATA": "nowhere"},
    )
    assert reply.returncode == 0 and reply.stdout.startswith("usage")


def test_slices_are_not_prepared_for_a_folder_in_use(tmp_path):
    """Said before the work, so the folder of cases need not even be there."""
    (tmp_path / "notes.txt").write_text("mine")
    result = script("prepare_slices", tmp_path / "cases", tmp_path)
    one_line(result, "prepare_slices.py", "no slice set")
    assert (tmp_path / "notes.txt").read_text() == "mine"
