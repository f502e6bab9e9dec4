"""Scripts of others that pages run: pinned, fetched once, checked, cached.

They are dependencies, not content: none is in git. They come by npm where it is there,
whose settings know of mirrors, or else from a public CDN. Where neither answers, pages
are made without them: an explorer then shows its stored heatmaps, and says so.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lrpbook_lib.files import only_one, whole_or_absent
from lrpbook_lib.places import cache_home

CDN = "https://cdn.jsdelivr.net/npm"


class MissingError(RuntimeError):
    """A package that cannot be had on this machine now, and why."""


@dataclass(frozen=True)
class Package:
    """One version of a package of scripts.

    Attributes
    ----------
    name, version
        As npm and the CDN know them.
    license, owner
        For ``THIRD_PARTY_NOTICES.md``.
    why
        What it does on a page, and what a page is like without it.
    files
        Path of a file inside the package to its SHA-256. To take in another version,
        change ``version`` and build: the error tells the checksums that were found.
    """

    name: str
    version: str
    license: str
    owner: str
    why: str
    files: Mapping[str, str]

    def path(self, file: str) -> Path:
        """Where a file of the package is cached."""
        return cache_home() / f"{self.name}-{self.version}" / Path(file).name

    def is_cached(self) -> bool:
        """Whether every file is at hand without a network."""
        return all(self.path(file).exists() for file in self.files)

    def content(self) -> dict[str, bytes]:
        """Every file by its path inside the package; one that was altered comes anew.

        Raises
        ------
        MissingError
            Where the files are not cached and cannot be fetched.
        """
        if found := self._kept():
            return found
        with only_one(self.path("any").parent):
            return self._kept() or self._fetched()

    def _kept(self) -> dict[str, bytes] | None:
        if not self.is_cached():
            return None
        found = {file: self.path(file).read_bytes() for file in self.files}
        if not self._complaint(found):
            return found
        for file in self.files:
            self.path(file).unlink()
        return None

    def _fetched(self) -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            found = self._by_npm(Path(folder)) or self._by_cdn(Path(folder))
        if complaint := self._complaint(found):
            raise MissingError(complaint)
        for file, content in found.items():
            with whole_or_absent(self.path(file)) as beside:
                beside.write_bytes(content)
        return found

    def _complaint(self, found: Mapping[str, bytes]) -> str:
        now = {file: hashlib.sha256(found[file]).hexdigest() for file in found}
        if now == self.files:
            return ""
        told = ", ".join(f"{file} ({now[file]})" for file in now)
        return f"{self.name} {self.version} is not the pinned one: {told}"

    def _by_npm(self, folder: Path) -> dict[str, bytes] | None:
        if (npm := shutil.which("npm")) is None:
            return None
        command = [npm, "pack", "--fetch-retries=0", f"{self.name}@{self.version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        archive = next(folder.glob("*.tgz"), None)
        if done.returncode or archive is None:
            return None
        with tarfile.open(archive) as tar:
            members = {file: tar.extractfile(f"package/{file}") for file in self.files}
            return {file: member.read() for file, member in members.items() if member}

    def _by_cdn(self, folder: Path) -> dict[str, bytes]:
        import pooch

        found = {}
        for file, wanted in self.files.items():
            address = f"{CDN}/{self.name}@{self.version}/{file}"
            try:
                got = pooch.retrieve(address, f"sha256:{wanted}", path=folder)
            except Exception as error:  # no network, or not that file
                raise MissingError(
                    f"{self.name} {self.version} could not be fetched, neither by npm "
                    f"nor as {address} ({type(error).__name__})"
                ) from error
            found[file] = Path(got).read_bytes()
        return found


RUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    license="MIT",
    owner="Microsoft Corporation",
    why="runs LRP on the page of an explorer, which shows stored heatmaps without it",
    files={
        "dist/ort.wasm.bundle.min.mjs": (
            "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"
        ),
        "dist/ort-wasm-simd-threaded.wasm": (
            "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
        ),
    },
)


def packed_runtime() -> dict[str, bytes]:
    """The runtime's files, gzipped, by their role on the page."""
    script, wasm = (gzip.compress(c, mtime=0) for c in RUNTIME.content().values())
    return {"runtime:script": script, "runtime:wasm": wasm}
