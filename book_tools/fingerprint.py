"""Has anything changed? Every answer is by content, never by date."""

import functools
import hashlib
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from book_tools.layout import Layout

SAMPLE = 4096  # bytes read from each end of a data file


def hash_files(files: Iterable[Path], base: Path) -> str:
    """A hash of the files' names (relative to ``base``) and contents."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(file.relative_to(base).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:16]


def library_version(layout: Layout) -> str:
    """A hash of every module that a chapter can import."""
    files = (
        file
        for file in layout.library.rglob("*")
        if file.suffix in {".py", ".js", ".css", ".json"}
        and "__pycache__" not in file.parts
    )
    return hash_files(files, layout.root)


@functools.cache
def data_version(root: Path | None) -> str:
    """A hash of real data on disk: names, sizes and both ends of every file.

    Both ends tell one volume from another without reading a hundred gigabytes.
    """
    if root is None or not root.is_dir():
        return "none"
    total = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            file = Path(folder) / name
            size = file.stat().st_size
            total.update(f"{file.relative_to(root).as_posix()} {size}\n".encode())
            with file.open("rb") as stream:
                total.update(stream.read(SAMPLE))
                stream.seek(max(0, size - SAMPLE))
                total.update(stream.read(SAMPLE))
    return total.hexdigest()[:16]


def commit(layout: Layout) -> str:
    """The checkout's commit, marked where files differ from it; ``unknown`` if none."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(layout.root), *arguments],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    try:
        name = git("rev-parse", "--short=10", "HEAD")
        return name + (" with changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
