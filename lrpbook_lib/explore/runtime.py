"""onnxruntime-web: what runs the programs on a page. Fetched once, checked, cached.

It is 14 MB and therefore not in git. A machine that cannot fetch it builds the same
pages; their explorers then show stored heatmaps, and say so.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lrpbook_lib.files import only_one, whole_or_absent
from lrpbook_lib.places import (
    cache_home,
)

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
ARCHIVE = f"https://registry.npmjs.org/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz"
ARCHIVE_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
#: Role on the page to file of the package and its checksum.
FILES = {
    "runtime:script": (
        "dist/ort.wasm.bundle.min.mjs",
        "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    ),
    "runtime:wasm": (
        "dist/ort-wasm-simd-threaded.wasm",
        "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    ),
}


class RuntimeMissingError(RuntimeError):
    """The runtime cannot be had on this machine now, and why."""


def _kept() -> dict[str, Path]:
    home = cache_home() / f"{PACKAGE}-{VERSION}"
    return {role: home / Path(name).name for role, (name, _) in FILES.items()}


def is_cached() -> bool:
    """Whether the runtime is at hand without a network."""
    return all(path.exists() for path in _kept().values())


def packed_runtime() -> dict[str, bytes]:
    """The runtime's files by their role, gzipped; see :func:`runtime`."""
    return {role: gzip.compress(v, mtime=0) for role, v in runtime().items()}


def runtime() -> dict[str, bytes]:
    """The runtime's files by their role, from the cache or from the registry.

    Raises
    ------
    RuntimeMissingError
        Where they are not cached and cannot be fetched.
    """
    paths = _kept()
    if not is_cached():
        home = next(iter(paths.values())).parent
        with only_one(home):
            if not is_cached():
                _fetch(home)
    found = {role: path.read_bytes() for role, path in paths.items()}
    for role, (name, wanted) in FILES.items():
        if hashlib.sha256(found[role]).hexdigest() != wanted:
            paths[role].unlink()
            raise RuntimeMissingError(f"{name} was altered; it will be fetched anew")
    return found


def _fetch(home: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = _by_npm(Path(folder)) or _by_download(Path(folder))
        with tarfile.open(archive) as tar:
            for name, wanted in FILES.values():
                member = tar.extractfile(f"package/{name}")
                content = member.read() if member else b""
                if hashlib.sha256(content).hexdigest() != wanted:
                    raise RuntimeMissingError(f"{name} has not the checksum it had")
                with whole_or_absent(home / Path(name).name) as beside:
                    beside.write_bytes(content)


def _by_npm(folder: Path) -> Path | None:
    """Ask npm, whose settings know of mirrors; None where it fails."""
    if shutil.which("npm") is None:
        return None
    once = ("--fetch-retries=0", "--fetch-timeout=60000")
    done = subprocess.run(
        ["npm", "pack", "--silent", *once, f"{PACKAGE}@{VERSION}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return next(iter(folder.glob("*.tgz")), None) if done.returncode == 0 else None


def _by_download(folder: Path) -> Path:
    import pooch

    try:
        got = pooch.retrieve(ARCHIVE, f"sha256:{ARCHIVE_SHA256}", "it.tgz", folder)
    except Exception as error:  # no network, or not that file
        raise RuntimeMissingError(
            f"{PACKAGE} {VERSION} could not be fetched ({type(error).__name__})"
        ) from error
    return Path(got)
