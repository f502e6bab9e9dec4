"""Stamped results: numbers that prose may quote, since a file says where from.

A stamp tells what a result was made with: a digest of the code of its analysis, the
data, and whatever else its maker adds. If that code changes, the stamp is stale, and
the book does not build until the result is made again (or the change is undone).
"""

import datetime
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lrpbook_lib.reached import reached_digest

PACKAGE = Path(__file__).parent
# A wheel carries the results along, so that a chapter runs alone in Colab.
FOLDERS = (PACKAGE.parent / "book" / "results", PACKAGE / "_results")


class StaleResultError(ValueError):
    """A result whose makers have changed since."""


def content_digest(path: Path) -> str:
    """Sixteen hexadecimal digits that name a file, or all files of a folder."""
    made = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) or [path]:
        made.update(file.read_bytes())
    return made.hexdigest()[:16]


def write_result(
    name: str,
    values: Mapping[str, Any],
    made_with: Sequence[str],
    data: Mapping[str, str | Path],
    arrays: Mapping[str, np.ndarray] | None = None,
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
        Where the code starts that the values depend on, ``"file.py"`` for its ``main``
        or ``"file.py:function"``, relative to the project: see
        :func:`~lrpbook_lib.reached.reached_digest`. The first is the script to run
        again.
    data
        Name of each data set to what names its content, or to its file or folder.
    arrays
        Pictures, curves or weights: they lie beside, in ``<name>.npz``.
    **about
        More for the stamp: settings, seeds, device, seconds. ``again`` is the command
        that makes it, where that is not the script itself.
    """
    path = FOLDERS[0] / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if arrays:
        pile = path.with_suffix(".npz")
        beside = pile.with_suffix(".npz.new")
        with beside.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        beside.replace(pile)
        about["arrays"] = content_digest(pile)
    stamp = {
        "made_with": {each: reached_digest(PACKAGE.parent, each) for each in made_with},
        "data": {
            key: content_digest(what) if isinstance(what, Path) else what
            for key, what in data.items()
        },
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **about,
    }
    beside = path.with_suffix(".json.new")
    beside.write_text(json.dumps({"values": values, "stamp": stamp}, indent=1) + "\n")
    beside.replace(path)
    return path


def read_result(name: str) -> dict[str, Any]:
    """The values of a stamped result; a stale or missing one is an error."""
    return _read(name)[1]["values"]


def read_stamp(name: str) -> dict[str, Any]:
    """What a result was made with, from what, when and where."""
    return _read(name)[1]["stamp"]


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays that lie beside a stamped result; others than stamped are an error."""
    path, result = _read(name)
    pile = path.with_suffix(".npz")
    known = result["stamp"].get("arrays")
    if known is None:
        raise FileNotFoundError(f"the stamped result {name!r} has no arrays")
    if not pile.is_file() or content_digest(pile) != known:
        raise StaleResultError(f"{pile.name} is not the one that {path.name} stamps")
    with np.load(pile, allow_pickle=False) as arrays:
        return dict(arrays)


def _read(name: str) -> tuple[Path, dict[str, Any]]:
    for folder in FOLDERS:
        path = folder / f"{name}.json"
        if path.is_file():
            result = json.loads(path.read_text(encoding="utf-8"))
            check_stamp(path, result["stamp"], PACKAGE.parent)
            return path, result
    raise FileNotFoundError(f"there is no stamped result {name!r} in {FOLDERS[0]}")


def check_stamp(path: Path, stamp: Mapping[str, Any], root: Path) -> None:
    """Raise if code that the result was made with has changed since."""
    script = next(iter(stamp["made_with"])).partition(":")[0]
    if not (root / script).is_file():
        return  # an installed library, without the scripts: nothing to compare
    for start, known in stamp["made_with"].items():
        if reached_digest(root, start) != known:
            raise StaleResultError(
                f"{path.name} is stale: {start} has changed since it was made; "
                f"make it again: {stamp.get('again', f'python {script}')}"
            )
