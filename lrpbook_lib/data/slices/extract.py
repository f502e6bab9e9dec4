"""From volumes on disk to a set of slices on disk, without holding them in memory.

Every case is reduced to its few slices by one worker at a time; the pieces are
joined into memory-mapped arrays at the end. This module does not import torch, so
that a worker is small and starts quickly.
"""

import json
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from lrpbook_lib.data.cases.case import MASK, Case, Problem
from lrpbook_lib.data.cases.formats import UnreadableError
from lrpbook_lib.data.slices.choosing import HEALTHY, RECIPES, SliceRecipe
from lrpbook_lib.data.slices.cutting import SliceSettings, slices_of
from lrpbook_lib.files import (
    digest,
    file_digest,
    files_of,
    in_processes,
    only_one,
    remove,
    remove_leftovers,
    usable_cores,
    whole_or_absent,
    write_json,
)
from lrpbook_lib.places import cache_home

if TYPE_CHECKING:
    from lrpbook_lib.data.samples import SliceSet

#: Raised by hand when the same settings would give other slices.
VERSION = 2


def extract_slices(
    cases: Iterable[Case],
    sequences: str | Sequence[str] = ("t1", "t2", "flair"),
    *,
    recipe: str | SliceRecipe = "paper",
    normalization: str = "percentile",
    size: int | tuple[int, int] | None = None,
    spacing: float | None = None,
    cache: str | os.PathLike[str] | None = None,
    into: str | os.PathLike[str] | None = None,
    workers: int | None = None,
) -> "SliceSet":
    """Choose, normalize and collect axial slices of many cases.

    The result lies in a cache folder named by the content of the files and by the
    settings: the same call again opens it, an interrupted one goes on. A case that
    turns out to be damaged is left out with a warning and told by ``.report()``.

    Parameters
    ----------
    cases
        From :func:`~lrpbook_lib.data.find_cases`.
    sequences
        Channels of the images, in this order.
    recipe
        ``"paper"``, ``"tumor"``, ``"healthy"`` or a :class:`SliceRecipe`.
    normalization
        ``"percentile"``: the brain's 1st to 99th percentile to [0, 1]; ``"zscore"``:
        zero mean, unit variance in the brain; ``"max"``: divided by the maximum.
        Outside the brain the images are 0.
    size
        Height and width to scale slices to (a square where one number is given);
        default as they are.
    spacing
        Edge of the cubic voxels to resample to beforehand, mm; default as on disk.
    cache
        Folder for slice sets; default below :func:`~lrpbook_lib.places.cache_home`.
    into
        Folder for this set, instead of one in the cache; a set there is replaced.
    workers
        Processes; default one a core.

    Returns
    -------
    SliceSet
        Rows from front to back and columns from the patient's right to left, the
        radiological view.
    """
    from lrpbook_lib.data.samples import SliceSet, check_target

    cases = list(cases)
    if not cases:
        raise ValueError("no cases: find_cases gives them")
    _check_together(cases)
    if isinstance(recipe, str) and recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r} is unknown; it is one of {list(RECIPES)}")
    settings = SliceSettings(
        (sequences,) if isinstance(sequences, str) else tuple(sequences),
        RECIPES[recipe] if isinstance(recipe, str) else recipe,
        normalization,
        size if size is None or isinstance(size, Sequence) else (size, size),
        spacing,
    )
    lacking = [c.id for c in cases if not {*settings.sequences, MASK} <= {*c.paths}]
    if lacking:
        raise ValueError(
            f"{len(lacking)} cases lack one of {', '.join(settings.sequences)} or the "
            f"mask ({', '.join(lacking[:3])} ...): leave them out, or ask for "
            "sequences that all cases have"
        )
    home = Path(cache).expanduser() if cache is not None else cache_home() / "slices"
    keys = _case_keys(cases, settings, home, workers)
    target = check_target(into) if into else home / f"slices-{digest([VERSION, keys])}"
    if into or not target.is_dir():
        _extract_all(cases, keys, settings, target, bool(into), workers)
    slices = SliceSet.load(target)
    if len(lost := slices.report()):
        first = lost.iloc[0]
        warnings.warn(
            f"{len(lost)} of {len(cases)} cases were left out; the first, "
            f"{first['case']}: {first['detail']} (all of them: .report())",
            stacklevel=2,
        )
    return slices


def _check_together(cases: Sequence[Case]) -> None:
    """Raise where cases cannot be in one set of slices."""
    seen: dict[tuple[str, str], Case] = {}
    for case in cases:
        name = (case.release, case.id)
        if name in seen:
            # Their slices could not be told apart.
            here, there = (next(iter(c.paths.values())) for c in (case, seen[name]))
            raise ValueError(
                f"the id {case.id} occurs twice, in {there} and {here}: rename or "
                "leave out one of them"
            )
        seen[name] = case
    classes = {c.reader.classes: c.release for c in cases}
    if len(classes) > 1:
        told = "; ".join(f"{name}: {', '.join(c)}" for c, name in classes.items())
        raise ValueError(f"the releases differ in their classes ({told}): take one")


def _case_keys(
    cases: list[Case], settings: SliceSettings, home: Path, workers: int | None
) -> list[str]:
    """A name for what each case's slices will be, from contents and settings."""
    memo = home / "digests.json"
    try:
        known = json.loads(memo.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        known = {}
    used = (*settings.sequences, MASK)
    files = sorted({f for c in cases for n in used for f in files_of(c.paths[n])})

    def look(path: Path) -> tuple[str, list[Any]]:
        stat = path.stat()
        # A file of the same size and time is taken to be the one read before.
        name, mark = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
        if known.get(name, [None, None])[:2] == mark:
            return name, known[name]
        return name, [*mark, file_digest(path)]

    threads = Parallel(n_jobs=workers or usable_cores(), prefer="threads")
    fresh = dict(threads(delayed(look)(f) for f in files))
    if any(known.get(k) != v for k, v in fresh.items()):
        write_json(memo, {**known, **fresh})
    plain = json.loads(json.dumps(asdict(settings)))
    keys = []
    for case in cases:
        content = [
            [n, [fresh[str(f.resolve())][2] for f in files_of(case.paths[n])]]
            for n in used
        ]
        who = [case.id, case.patient, case.site, case.label, case.release]
        keys.append(digest([plain, who, content]))
    return keys


def _extract_all(
    cases: list[Case],
    keys: list[str],
    settings: SliceSettings,
    target: Path,
    anew: bool,
    workers: int | None,
) -> None:
    """Reduce each case to a piece beside the target, and join the pieces there."""
    pieces = target.parent / f".{target.name}.pieces"
    with only_one(pieces):
        if target.is_dir() and not anew:
            return  # another process was faster
        remove_leftovers(target.parent)
        remove_leftovers(pieces)
        names = (pieces / f"{key}.npz" for key in keys)
        work = dict(zip(names, cases, strict=True))
        waiting = [(p, case) for p, case in work.items() if not p.exists()]
        # A worker starts for a second or two: one for every few cases.
        jobs = workers or min(usable_cores(), max(1, len(waiting) // 4))
        calls = (delayed(_extract_to)(c, settings, piece) for piece, c in waiting)
        told = in_processes(calls, jobs, len(cases), "cases")
        problems = [problem for problem in told if problem is not None]
        _join(work, settings, target, problems)
    remove(pieces)


def _extract_to(case: Case, settings: SliceSettings, piece: Path) -> Problem | None:
    try:
        arrays = slices_of(case, settings)
    except (UnreadableError, FileNotFoundError) as error:
        return Problem(case.id, case.release, "unreadable file", str(error))
    except ValueError as error:
        return Problem(case.id, case.release, "unusable volumes", str(error))
    with whole_or_absent(piece) as beside, beside.open("wb") as stream:
        np.savez(stream, **arrays)
    return None


def _join(
    work: dict[Path, Case],
    settings: SliceSettings,
    target: Path,
    problems: list[Problem],
) -> None:
    """Write the pieces, in the order of the cases, into one set of arrays."""
    from lrpbook_lib.data.samples import write_samples

    rows, shapes = [], {}
    for piece, case in work.items():
        if piece.exists():
            with np.load(piece) as arrays:
                z, labels, space = arrays["z"], arrays["labels"], arrays["tumor"].shape
            if len(z):
                rows.append((case, piece, labels, z))
                shapes[space[1:]] = case.id
            else:
                detail = "no slice with enough tumor for the recipe"
                problems.append(Problem(case.id, case.release, "no slice", detail))
    if not rows:
        first = f" (the first: {problems[0].detail})" if problems else ""
        raise ValueError(f"no slice could be extracted from {len(work)} cases{first}")
    if len(shapes) > 1:
        told = ", ".join(f"{case} {shape}" for shape, case in shapes.items())
        raise ValueError(
            f"slices differ in shape ({told}): name a common size=..., and spacing=... "
            "if the voxels differ"
        )
    counts = [len(z) for *_, z in rows]
    who = {
        "patient": [case.patient for case, *_ in rows],
        "site": [case.site or "" for case, *_ in rows],
        "case": [case.id for case, *_ in rows],
    }
    table = {name: np.repeat(np.array(values), counts) for name, values in who.items()}
    table["labels"] = np.concatenate([labels for _, _, labels, _ in rows])
    table["z"] = np.concatenate([z for *_, z in rows])

    def blocks(name: str) -> Iterator[np.ndarray]:
        for _, piece, *_ in rows:
            with np.load(piece) as arrays:
                yield arrays[name]

    healthy = (HEALTHY,) if settings.recipe.with_healthy else ()
    meta = {
        "sequences": settings.sequences,
        "classes": (*rows[0][0].reader.classes, *healthy),
        "settings": asdict(settings),
        "problems": [asdict(p) for p in problems],
        "version": VERSION,
    }
    shape = (len(settings.sequences), *next(iter(shapes)))
    write_samples(target, shape, blocks, table, meta)
