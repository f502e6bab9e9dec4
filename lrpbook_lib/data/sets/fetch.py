"""Downloads that go on where they broke off, and are checked before they count."""

import re
import shutil
import tarfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from tqdm.auto import tqdm

from lrpbook_lib.files import quiet, whole_or_absent


class FetchError(RuntimeError):
    """A download that failed, with what to do next."""


@dataclass(frozen=True)
class Download:
    """One file to fetch."""

    url: str
    name: str  #: what to call it
    checksum: str  #: ``md5:...`` or ``sha256:...``, as its publisher gives it

    def __post_init__(self) -> None:
        # Said now, and not after gigabytes have come.
        kind, _, digits = self.checksum.partition(":")
        length = {"md5": 32, "sha256": 64}.get(kind.lower())
        if length is None or not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", digits):
            raise ValueError(
                f"checksum {self.checksum!r} is none: write md5: and 32, or sha256: "
                "and 64 hexadecimal digits"
            )


#: Task01 of the Medical Segmentation Decathlon; the checksum is the one MONAI uses.
MSD_BRAIN = Download(
    "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task01_BrainTumour.tar",
    "Task01_BrainTumour.tar",
    "md5:240a19d752f0d9e9101544901065d872",
)
#: The article of Cheng's brain tumor set, and the service that lists its files.
CHENG_ARTICLE = 1512427
FIGSHARE = "https://api.figshare.com/v2"


#: What a connection that breaks raises, early or late.
_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


class Resuming:
    """A downloader for pooch that continues a partial file.

    The part that arrived lies beside the target, under the name with ``.partial``
    behind it, and survives the process. A server that cannot continue, or whose file
    has changed, is asked for the whole.
    """

    def __init__(self, partial: Path, attempts: int, wait: float):
        self.partial, self.attempts, self.wait = partial, attempts, wait
        self.tag = partial.with_name(partial.name + ".etag")

    def __call__(self, url: str, output_file: Any, pooch_: Any) -> None:
        """Download `url` to `output_file`; pooch checks the checksum afterwards."""
        for attempt in range(self.attempts):
            try:
                self._continue(url)
                break
            except _BROKEN as error:
                if attempt + 1 == self.attempts:
                    raise FetchError(
                        f"the connection to {url} broke {self.attempts} times; "
                        f"{self._have():,} bytes are kept: run the same command again "
                        "to continue"
                    ) from error
                time.sleep(self.wait * 2**attempt)
        shutil.move(self.partial, output_file)
        self.tag.unlink(missing_ok=True)

    def _have(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def _continue(self, url: str) -> None:
        have, headers = self._have(), {}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self.tag.exists():
                headers["If-Range"] = self.tag.read_text("utf-8")
        with requests.get(url, headers=headers, stream=True, timeout=30) as reply:
            if reply.status_code == 416:  # nothing is missing, or the part is too long
                total = reply.headers.get("Content-Range", "").rpartition("/")[2]
                if total == str(have):
                    return
                self.partial.unlink()
                raise requests.ConnectionError("the part did not fit; once more")
            if reply.status_code >= 500:
                raise requests.ConnectionError(f"the server said {reply.status_code}")
            if not reply.ok:
                raise FetchError(f"{url} is not to be had: HTTP {reply.status_code}")
            if reply.status_code != 206:
                have = 0
            if tag := reply.headers.get("ETag"):
                self.tag.write_text(tag, "utf-8")
            self._write(reply, have)

    def _write(self, reply: requests.Response, got: int) -> None:
        length = reply.headers.get("Content-Length")
        total = got + int(length) if length else None
        bar = tqdm(
            total=total,
            initial=got,
            unit="B",
            unit_scale=True,
            desc=self.partial.stem,
            disable=quiet(),
        )
        with self.partial.open("ab" if got else "wb") as stream, bar:
            for chunk in reply.iter_content(1 << 16):
                got += stream.write(chunk)
                bar.update(len(chunk))
        if total is not None and got < total:
            raise requests.ConnectionError(f"{got} of {total} bytes came")


def fetch(item: Download, folder: Path, attempts: int = 4, wait: float = 1.0) -> Path:
    """Download a file once; continue, check and keep it.

    `attempts` is how often to connect before giving up, `wait` the seconds before the
    second time, doubled each time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    resuming = Resuming(folder / f"{item.name}.partial", attempts, wait)
    try:
        found = pooch.retrieve(
            item.url,
            known_hash=item.checksum,
            fname=item.name,
            path=folder,
            downloader=resuming,
        )
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        raise FetchError(
            f"{item.name} from {item.url} arrived damaged: its checksum is not "
            f"{item.checksum}; it was removed, run the same command again"
        ) from error
    return Path(found)


def unpack(archive: Path, target: Path) -> Path:
    """Unpack a zip or tar archive into `target`, which is whole or absent."""
    with whole_or_absent(target) as beside:
        beside.mkdir()
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as file:
                    file.extractall(beside)
            else:
                with tarfile.open(archive) as file:
                    # Refuses links and names that lead outside.
                    file.extractall(beside, filter="data")
        except (zipfile.BadZipFile, tarfile.TarError) as error:
            raise FetchError(f"{archive} cannot be unpacked: {error}") from error
    return target


def fetch_msd(folder: Path, item: Download = MSD_BRAIN) -> Path:
    """Fetch and unpack MSD Task01 (7 GB); returns the folder to give find_cases."""
    target = folder / "msd"
    return target if target.is_dir() else unpack(fetch(item, folder), target)


def cheng_files(api: str = FIGSHARE, article: int = CHENG_ARTICLE) -> list[Download]:
    """The files of Cheng's set with the checksums figshare lists for them."""
    url = f"{api}/articles/{article}/files?page_size=100"
    try:
        reply = requests.get(url, timeout=30)
        reply.raise_for_status()
        rows = reply.json()
        files = [
            Download(row["download_url"], row["name"], f"md5:{row['computed_md5']}")
            for row in rows
            if row["name"].lower().endswith((".zip", ".mat"))
        ]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"figshare's list of files at {url} failed: {error}"
        ) from error
    if not files:
        raise FetchError(f"figshare's list of files at {url} names no archive")
    return files


def fetch_cheng(folder: Path, api: str = FIGSHARE) -> Path:
    """Fetch and unpack Cheng's set (900 MB); returns the folder to give find_cases."""
    target = folder / "cheng"
    for item in cheng_files(api):
        here = target / Path(item.name).stem
        if item.name.lower().endswith(".mat"):
            fetch(item, target)
        elif not here.is_dir():
            unpack(fetch(item, folder), here)
    return target
