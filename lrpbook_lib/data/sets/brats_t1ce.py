"""One slice of each patient of BraTS 2020 in one file: real grades, real sites."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from lrpbook_lib.data.cases.case import Problem
from lrpbook_lib.data.cases.readers import CLASSES
from lrpbook_lib.data.cases.tables import NAME_MAPPINGS, Record, key, read_records
from lrpbook_lib.data.cases.volumes import fill_slices
from lrpbook_lib.data.samples import SliceSet
from lrpbook_lib.data.sets.packed import PackedSet, shrink, shrink_mask
from lrpbook_lib.places import data_home

NAME = "BraTS 2020 T1ce"
FILE = "brats2020_t1ce/t1ce_slices.npz"
#: Who is of which grade and site, below :func:`~lrpbook_lib.places.data_home`.
TABLE = "tables/BraTS2020_name_mapping.csv"
#: Edge in pixels that a slice is padded to: 64 and 96 divide it.
EDGE = 192


def brats_t1ce_slices(
    path: str | os.PathLike[str] | None = None,
    size: int | None = None,
    table: str | os.PathLike[str] | None = None,
) -> SliceSet:
    """T1-weighted slices with contrast agent, one a patient, with grade and site.

    The slice lies near the largest cut through the brain, wherever the tumor is, and
    no masks come with it: ``tumor`` is empty, and scores are not told. For questions
    of grade and site alone. Each slice is scaled by its own brightest voxel.

    Patients who came with BraTS 2020 are of a site that no table tells: theirs is
    empty, and ``report()`` names them, with ``dropped`` false. Since they may be of any
    site, leave them out where sites are held out:
    ``slices.subset(slices.site != "")``.

    Parameters
    ----------
    path, size
        See :meth:`~lrpbook_lib.data.sets.packed.PackedSet.slices`; slices are padded
        to a square of 192 pixels, which ``size`` divides.
    table
        Another name_mapping than the one of BraTS 2020 that is looked for.

    Returns
    -------
    SliceSet
        One channel from 0 to 1; labels LGG, HGG, or -1 where the table tells no grade.
    """
    about = partial(_samples, records=_records(table))
    arrays = ("images", "case")
    return PackedSet(NAME, FILE, arrays, about).slices(path, size)


def _records(table: str | os.PathLike[str] | None) -> dict[str, list[Record]]:
    home = data_home()
    if table is None and home is None:
        raise FileNotFoundError(
            f"the grades of {NAME} are not on this machine: let LRPBOOK_DATA name the "
            f"folder above {TABLE}, or name it with table="
        )
    file = Path(table).expanduser() if table is not None else Path(home or "", TABLE)
    if not file.is_file():
        raise FileNotFoundError(
            f"there is no {file}, which tells the grades of {NAME}: copy it there from "
            "the release, or name it with table="
        )
    records, broken = read_records([file], NAME_MAPPINGS)
    if not records:
        why = broken.get(file, "its columns are others")
        raise ValueError(f"{file} is no name_mapping table of BraTS: {why}")
    return records


def _samples(
    found: Mapping[str, np.ndarray],
    size: int | None,
    records: Mapping[str, list[Record]],
) -> dict[str, Any]:
    cases = found["case"].tolist()
    if unknown := [case for case in cases if key(case) not in records]:
        raise ValueError(
            f"the table of {NAME} has no row for {len(unknown)} of {len(cases)} cases, "
            f"such as {unknown[0]}: it is of another release; name that of 2020 "
            "with table="
        )
    told = [records[key(case)][0] for case in cases]
    grades = [one.facts.get("grade") for one in told]
    images = _square(found["images"])
    brain = fill_slices((images > 0).transpose(1, 2, 0)).transpose(2, 0, 1)
    small = shrink(images / np.float32(255), size)
    problems = [
        Problem(case, NAME, "site not told", "new in BraTS 2020", False)
        for case, one in zip(cases, told, strict=True)
        if one.site is None
    ]
    return {
        "images": small[:, None],
        "labels": [CLASSES.index(grade) if grade else -1 for grade in grades],
        "tumor": np.zeros(small.shape, np.uint8),
        "brain": shrink_mask(brain, size),
        "patient": [one.patient or case for case, one in zip(cases, told, strict=True)],
        "site": [one.site or "" for one in told],
        "sequences": ("t1ce",),
        "problems": [asdict(problem) for problem in problems],
    }


def _square(images: np.ndarray) -> np.ndarray:
    """``(N, X, Y)`` left-back to ``(N, H, W)`` as on screen, in the middle of a square.

    A patient's right is on the left, the front is up.
    """
    shown = images.transpose(0, 2, 1)
    lacking = [EDGE - n for n in shown.shape[1:]]
    if min(lacking) < 0:
        raise ValueError(
            f"images of {NAME} are of {images.shape[1:]} pixels, above the {EDGE} that "
            "they are padded to: it is another file"
        )
    return np.pad(shown, [(0, 0), *((n // 2, n - n // 2) for n in lacking)])
