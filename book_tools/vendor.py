"""Scripts of others that the pages need, kept so that a page never asks the network.

``book/assets/vendor.json`` names each one: package, version, license, why it is there,
and the checksum of each file. Files are kept in git, packed with xz (under 1 MB in
all), because their packages live where a machine with nothing but Python cannot fetch.
plotly.js and anywidget's script are taken from the installed Python packages instead.
"""

import hashlib
import importlib.util
import json
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from book_tools.layout import BookError, write_atomically

ALREADY_PACKED = {".woff2"}  # xz would only make these larger
FROM_PYTHON = {
    "plotly.min.js": ("plotly", "package_data/plotly.min.js"),
    "anywidget.js": ("anywidget", "nbextension/index.js"),
}


def kept_path(assets: Path, name: str) -> Path:
    """Where a vendored file is kept in git."""
    packed = "" if Path(name).suffix in ALREADY_PACKED else ".xz"
    return assets / "vendor" / (name.replace("/", "--") + packed)


def read_manifest(assets: Path) -> list[dict]:
    """The vendored packages, an entry each."""
    return json.loads((assets / "vendor.json").read_text(encoding="utf-8"))


def unpack(assets: Path, target: Path) -> None:
    """Write every vendored script below ``target``, refusing one that was altered."""
    for package in read_manifest(assets):
        for name, file in package["files"].items():
            kept = kept_path(assets, name)
            content = kept.read_bytes()
            if kept.suffix == ".xz":
                content = lzma.decompress(content)
            if hashlib.sha256(content).hexdigest() != file["sha256"]:
                raise BookError(
                    f"{kept.name} does not match its checksum in vendor.json; "
                    "restore it with git, or fetch it anew: "
                    "python -m book_tools vendor"
                )
            written = target / name
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_bytes(content)
    for name, (module, inside) in FROM_PYTHON.items():
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise BookError(f"the Python package {module} is missing: run make setup")
        shutil.copyfile(Path(spec.origin).parent / inside, target / name)


def fetch(assets: Path) -> None:
    """Fetch every package anew with npm and check it against ``vendor.json``.

    A file without a checksum gets one, which is how a new version is taken in:
    change ``version``, empty ``sha256``, fetch, and read the difference in git.
    """
    if shutil.which("npm") is None:
        raise BookError("fetching vendored scripts needs npm (Node.js)")
    manifest = read_manifest(assets)
    with tempfile.TemporaryDirectory() as folder:
        for package in manifest:
            wanted = f"{package['package']}@{package['version']}"
            packed = subprocess.run(
                ["npm", "pack", "--silent", wanted],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if packed.returncode:
                raise BookError(f"npm pack {wanted} failed: {packed.stderr.strip()}")
            archive = Path(folder) / packed.stdout.strip().splitlines()[-1]
            with tarfile.open(archive) as tar:
                for name, file in package["files"].items():
                    member = tar.extractfile(f"package/{file['from']}")
                    if member is None:
                        raise BookError(f"{wanted} has no file {file['from']}")
                    _keep(assets, name, file, member.read())
    write_atomically(assets / "vendor.json", json.dumps(manifest, indent=2) + "\n")


def _keep(assets: Path, name: str, file: dict, content: bytes) -> None:
    found = hashlib.sha256(content).hexdigest()
    if file["sha256"] and file["sha256"] != found:
        raise BookError(f"{name}: fetched {found}, vendor.json says {file['sha256']}")
    file["sha256"] = found
    kept = kept_path(assets, name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    if kept.suffix == ".xz":
        content = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    kept.write_bytes(content)
