"""Stamped results: numbers that prose may quote, since a file says where from.

A result names the files of this project that it was made with, each with its hash. If
one of them changes, the stamp is stale, and the book does not build until the result is
made again (or the change is undone).
"""

import datetime
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
# A wheel carries the results along, so that a chapter runs alone in Colab.
FOLDERS = (PACKAGE.parent / "book" / "results", PACKAGE / "_results")


class StaleResultError(ValueError):
    """A result whose makers have changed since."""


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def write_result(
    name: str,
    values: Mapping[str, Any],
    made_with: Sequence[str],
    data: Mapping[str, str],
    **about: Any,
) -> Path:
    """Write ``book/results/<name>.json`` with its stamp.

    Parameters
    ----------
    name
        The result's name, in words joined by underscores.
    values
        What was found; anything JSON can say. No patient identifiers.
    made_with
        Files of this project that the values depend on, relative to its root; the
        first is the script to run again.
    data
        Name of each data set to a hash of what was read of it.
    **about
        More for the stamp: settings, seeds, device, seconds.
    """
    root = PACKAGE.parent
    stamp = {
        "made_with": {file: _hash(root / file) for file in made_with},
        "data": dict(data),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **about,
    }
    path = FOLDERS[0] / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".json.new")
    beside.write_text(json.dumps({"values": values, "stamp": stamp}, indent=1) + "\n")
    beside.replace(path)
    return path


def read_result(name: str) -> dict[str, Any]:
    """The values of a stamped result; a stale or missing one is an error."""
    for folder in FOLDERS:
        path = folder / f"{name}.json"
        if path.is_file():
            result = json.loads(path.read_text(encoding="utf-8"))
            check_stamp(path, result["stamp"], PACKAGE.parent)
            return result["values"]
    raise FileNotFoundError(f"there is no stamped result {name!r} in {FOLDERS[0]}")


def check_stamp(path: Path, stamp: Mapping[str, Any], root: Path) -> None:
    """Raise if a file that the result was made with has changed since."""
    script = next(iter(stamp["made_with"]))
    if not (root / script).is_file():
        return  # an installed library, without the scripts: nothing to compare
    for file, known in stamp["made_with"].items():
        now = _hash(root / file) if (root / file).is_file() else "gone"
        if now != known:
            raise StaleResultError(
                f"{path.name} is stale: {file} has changed since it was made; "
                f"make it again: python {script}"
            )
