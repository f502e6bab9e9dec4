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

import numpy as np

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
        Files of this project that the values depend on, relative to its root; the
        first is the script to run again.
    data
        Name of each data set to a hash of what was read of it.
    arrays
        Pictures, curves or weights: they lie beside, in ``<name>.npz``.
    **about
        More for the stamp: settings, seeds, device, seconds. ``again`` is the command
        that makes it, where that is not the script itself. ``behavior``, from
        :func:`lrpbook_lib.training.behavior.behavior`, lets a test tell whether the
        library still comes to the same numbers.
    """
    root = PACKAGE.parent
    path = FOLDERS[0] / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if arrays:
        pile = path.with_suffix(".npz")
        beside = pile.with_suffix(".npz.new")
        with beside.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
        beside.replace(pile)
        about["arrays"] = _hash(pile)
    stamp = {
        "made_with": {file: _hash(root / file) for file in made_with},
        "data": dict(data),
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
    if not pile.is_file() or _hash(pile) != known:
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
    """Raise if a file that the result was made with has changed since."""
    script = next(iter(stamp["made_with"]))
    if not (root / script).is_file():
        return  # an installed library, without the scripts: nothing to compare
    for file, known in stamp["made_with"].items():
        now = _hash(root / file) if (root / file).is_file() else "gone"
        if now != known:
            raise StaleResultError(
                f"{path.name} is stale: {file} has changed since it was made; "
                f"make it again: {stamp.get('again', f'python {script}')}"
            )
