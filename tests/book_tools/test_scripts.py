"""Scripts of others: by npm or from a CDN, checked, cached, and done without."""

import dataclasses
import hashlib
import http.server
import sys
import threading

import pytest

from book_tools import scripts
from lrpbook_lib.explore import runtime
from lrpbook_lib.explore.runtime import MissingError, Package

CONTENT = b"let it run;"
PACKAGE = Package(
    "@some/package",
    "1.2.3",
    license="MIT",
    owner="Somebody",
    why="runs; nothing moves without it",
    files={"dist/it.js": hashlib.sha256(CONTENT).hexdigest()},
)
NPM = f"""#!{sys.executable}
import io, sys, tarfile
assert sys.argv[-1] == "@some/package@1.2.3"
info = tarfile.TarInfo("package/dist/it.js")
info.size = len({CONTENT!r})
with tarfile.open("some-package-1.2.3.tgz", "w:gz") as tar:
    tar.addfile(info, io.BytesIO({CONTENT!r}))
"""


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """An empty cache, no npm, and a CDN that does not answer."""
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runtime, "CDN", "http://127.0.0.1:9")


class Cdn(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/@some/package@1.2.3/dist/it.js"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *args):
        pass


@pytest.fixture
def cdn(monkeypatch):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cdn) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(runtime, "CDN", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.fixture
def npm(tmp_path):
    (tmp_path / "npm").write_text(NPM)
    (tmp_path / "npm").chmod(0o755)


@pytest.mark.parametrize("way", ["npm", "cdn"])
def test_a_package_comes_either_way_and_is_kept(way, request, monkeypatch):
    assert not PACKAGE.is_cached()
    request.getfixturevalue(way)
    assert PACKAGE.content() == {"dist/it.js": CONTENT}
    assert PACKAGE.is_cached()
    monkeypatch.setattr(runtime, "CDN", "http://127.0.0.1:9")
    monkeypatch.setenv("PATH", "")
    assert PACKAGE.content() == {"dist/it.js": CONTENT}


def test_neither_way_is_said_in_words():
    with pytest.raises(MissingError, match=r"@some/package 1\.2\.3 could not be fetch"):
        PACKAGE.content()
    assert not PACKAGE.is_cached()


def test_an_altered_file_is_never_used(npm, tmp_path):
    PACKAGE.content()
    PACKAGE.path("it.js").write_bytes(b"something else")
    assert PACKAGE.content() == {"dist/it.js": CONTENT}
    PACKAGE.path("it.js").write_bytes(b"something else")
    (tmp_path / "npm").unlink()
    with pytest.raises(MissingError):
        PACKAGE.content()
    assert not PACKAGE.is_cached()


def test_another_content_than_pinned_is_refused(npm):
    other = dataclasses.replace(PACKAGE, files={"dist/it.js": "0" * 64})
    with pytest.raises(
        MissingError, match=r"not the pinned one: dist/it\.js \(\w{64}\)"
    ):
        other.content()
    assert not other.is_cached()


def test_what_pages_lack_is_said_once_for_each_package(monkeypatch, capsys):
    monkeypatch.setattr(scripts, "PACKAGES", (PACKAGE,))
    scripts.fetch()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("it runs; nothing moves without it")


def test_a_site_gets_what_there_is(npm, tmp_path, monkeypatch):
    monkeypatch.setattr(scripts, "MATH", PACKAGE)
    scripts.unpack(tmp_path)
    assert not (tmp_path / "package").exists()
    assert (tmp_path / "plotly.min.js").stat().st_size > 1_000_000
    PACKAGE.content()
    scripts.unpack(tmp_path)
    assert (tmp_path / "package" / "it.js").read_bytes() == CONTENT
    assert (tmp_path / "cache" / "@some" / "package-1.2.3" / "it.js").is_file()
