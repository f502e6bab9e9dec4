"""From volumes on disk to a set of slices on disk, without holding them in memory.

Every case is reduced to its few slices by one worker at a time; the pieces are
joined into memory-mapped arrays at the end. This module does not import torch, so
that a worker is small and starts quickly.
"""

import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from lrpbook_lib.data.cases.case import Case, Problem, check_unique
from lrpbook_lib.data.cases.volumes import UnreadableError
from lrpbook_lib.data.slices.choosing import CLASSES, HEALTHY, RECIPES, SliceRecipe
from lrpbook_lib.data.slices.cutting import SliceSettings, slices_of
from lrpbook_lib.files import (
    digest,
    file_digest,
    npy_stream,
    only_one,
    quiet,
    remove,
    remove_leftovers,
    usable_cores,
    whole_or_absent,
    write_json,
)
from lrpbook_lib.places import cache_home

if TYPE_CHECKING:
    from lrpbook_lib.data.slices.sliceset import SliceSet

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
        Folder for slice sets; default below :func:`~lrpbook_lib.data.cache_home`.
    workers
        Processes; default one a core.

    Returns
    -------
    SliceSet
        Rows from front to back and columns from the patient's right to left, the
        radiological view.
    """
    cases = list(cases)
    if not cases:
        raise ValueError("no cases: find_cases gives them")
    check_unique(cases)
    if isinstance(recipe, str) and recipe not in RECIPES:
        raise ValueError(f"recipe={recipe!r} is unknown; it is one of {list(RECIPES)}")
    settings = SliceSettings(
        (sequences,) if isinstance(sequences, str) else tuple(sequences),
        RECIPES[recipe] if isinstance(recipe, str) else recipe,
        normalization,
        size if size is None or isinstance(size, Sequence) else (size, size),
        spacing,
    )
    lacking = [c.id for c in cases if not {*settings.sequences, "seg"} <= {*c.paths}]
    if lacking:
        raise ValueError(
            f"{len(lacking)} cases lack one of {', '.join(settings.sequences)} or the "
            f"mask ({', '.join(lacking[:3])} ...): leave them out, or ask for "
            "sequences that all cases have"
        )
    home = Path(cache).expanduser() if cache is not None else cache_home() / "slices"
    return _collect(cases, settings, home, workers)


def _collect(
    cases: list[Case], settings: SliceSettings, home: Path, workers: int | None
) -> "SliceSet":
    from lrpbook_lib.data.slices.sliceset import SliceSet

    home.mkdir(parents=True, exist_ok=True)
    keys = _case_keys(cases, settings, home, workers)
    target = home / f"slices-{digest([VERSION, keys])}"
    if not target.is_dir():
        pieces = home / f".{target.name}.pieces"
        with only_one(pieces):
            if not target.is_dir():
                remove_leftovers(home)
                remove_leftovers(pieces)
                problems = _extract_all(cases, keys, settings, pieces, workers)
                _join(cases, keys, settings, pieces, target, problems)
        remove(pieces)
    slices = SliceSet.load(target)
    if len(lost := slices.report()):
        first = lost.iloc[0]
        warnings.warn(
            f"{len(lost)} of {len(cases)} cases were left out; the first, "
            f"{first['case']}: {first['detail']} (all of them: .report())",
            stacklevel=3,
        )
    return slices


def _case_keys(
    cases: list[Case], settings: SliceSettings, home: Path, workers: int | None
) -> list[str]:
    """A name for what each case's slices will be, from contents and settings."""
    memo = home / "digests.json"
    try:
        known = json.loads(memo.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        known = {}
    used = (*settings.sequences, "seg")
    files = sorted({f for c in cases for n in used for f in _files(c.paths[n])})

    def look(path: Path) -> tuple[str, list[Any]]:
        stat = path.stat()
        # A file of the same size and time is taken to be the one read before.
        name, mark = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
        if known.get(name, [None, None])[:2] == mark:
            return name, known[name]
        return name, [*mark, file_digest(path)]

    threads = Parallel(n_jobs=workers or usable_cores(), prefer="threads")
    seen = threads(delayed(look)(f) for f in files)
    fresh = dict(seen)
    if any(known.get(k) != v for k, v in fresh.items()):
        write_json(memo, {**known, **fresh})
    plain = json.loads(json.dumps(asdict(settings)))
    keys = []
    for case in cases:
        content = [
            [n, [fresh[str(f.resolve())][2] for f in _files(case.paths[n])]]
            for n in used
        ]
        who = [case.id, case.patient, case.site, case.grade, case.release]
        keys.append(digest([plain, who, content]))
    return keys


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]


def _extract_all(
    cases: list[Case],
    keys: list[str],
    settings: SliceSettings,
    pieces: Path,
    workers: int | None,
) -> list[Problem]:
    waiting = [
        (case, pieces / f"{key}.npz")
        for case, key in zip(cases, keys, strict=True)
        if not (pieces / f"{key}.npz").exists()
    ]
    # A worker starts for a second or two: one for every few cases.
    jobs = workers or min(usable_cores(), max(1, len(waiting) // 4))
    stream = Parallel(
        n_jobs=jobs, return_as="generator_unordered", pre_dispatch=2 * jobs
    )(delayed(_extract_to)(case, settings, piece) for case, piece in waiting)
    bar = tqdm(
        stream,
        total=len(cases),
        initial=len(cases) - len(waiting),
        desc="cases",
        disable=quiet(),
    )
    return [problem for problem in bar if problem is not None]


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
    cases: list[Case],
    keys: list[str],
    settings: SliceSettings,
    pieces: Path,
    target: Path,
    problems: list[Problem],
) -> None:
    """Write the pieces, in the order of the cases, into one set of arrays."""
    rows, shapes = [], {}
    for case, key in zip(cases, keys, strict=True):
        if (piece := pieces / f"{key}.npz").exists():
            with np.load(piece) as arrays:
                labels, z, shape = arrays["labels"], arrays["z"], arrays["tumor"].shape
            if len(z):
                rows.append((case, piece, labels, z))
                shapes[shape[1:]] = case.id
            else:
                detail = "no slice with enough tumor for the recipe"
                problems.append(Problem(case.id, case.release, "no slice", detail))
    if not rows:
        first = f" (the first: {problems[0].detail})" if problems else ""
        raise ValueError(f"no slice could be extracted from {len(cases)} cases{first}")
    if len(shapes) > 1:
        told = ", ".join(f"{case} {shape}" for shape, case in shapes.items())
        raise ValueError(
            f"slices differ in shape ({told}): name a common size=..., and spacing=... "
            "if the voxels differ"
        )
    total, shape = sum(len(z) for *_, z in rows), next(iter(shapes))
    channels = len(settings.sequences)
    with whole_or_absent(target) as beside:
        beside.mkdir()
        kinds = {
            "images": (np.float32, (total, channels, *shape)),
            "tumor": (np.uint8, (total, *shape)),
            "brain": (np.bool_, (total, *shape)),
        }
        for name, (dtype, whole) in kinds.items():
            with npy_stream(beside / f"{name}.npy", dtype, whole) as append:
                for _, piece, _, _ in rows:
                    with np.load(piece) as arrays:
                        append(arrays[name])
        counts = [len(z) for *_, z in rows]

        def spread(values: list[str]) -> np.ndarray:
            return np.repeat(np.array(values), counts)

        np.savez(
            beside / "table.npz",
            labels=np.concatenate([labels for _, _, labels, _ in rows]),
            z=np.concatenate([z for *_, z in rows]),
            patient=spread([c.patient for c, *_ in rows]),
            site=spread([c.site or "" for c, *_ in rows]),
            case=spread([c.id for c, *_ in rows]),
        )
        healthy = (HEALTHY,) if settings.recipe.choose == "all" else ()
        write_json(
            beside / "slices.json",
            {
                "sequences": list(settings.sequences),
                "classes": [*CLASSES, *healthy],
                "settings": json.loads(json.dumps(asdict(settings))),
                "problems": [asdict(p) for p in problems],
                "version": VERSION,
            },
        )
