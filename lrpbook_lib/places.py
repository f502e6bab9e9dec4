"""Where data lies on this machine: real releases, and what the book makes itself."""

import os
from pathlib import Path

import pooch


def data_home() -> Path | None:
    """Folder of real data, or ``None`` where this machine has none.

    The environment variable ``LRPBOOK_DATA`` names it; otherwise it is
    ``shared/data`` beside the checkout the library is imported from.
    """
    if named := os.environ.get("LRPBOOK_DATA"):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise NotADirectoryError(
                f"LRPBOOK_DATA names {folder}, which is no folder: "
                "correct it or unset it to work on the phantom alone"
            )
        return folder
    beside = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    return beside if beside.is_dir() else None


def cache_home() -> Path:
    """Folder for what can be made again: phantoms, slice sets, downloads.

    The environment variable ``LRPBOOK_CACHE`` names it; otherwise it is the
    platform's own cache folder.
    """
    named = os.environ.get("LRPBOOK_CACHE")
    return Path(named).expanduser() if named else Path(pooch.os_cache("lrpbook"))
