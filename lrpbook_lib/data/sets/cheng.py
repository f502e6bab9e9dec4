"""The brain tumors of Cheng et al.: real slices of three tumor types."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import ndimage

from lrpbook_lib.data.samples import SliceSet
from lrpbook_lib.data.sets.packed import PackedSet, shrink, shrink_mask


def _samples(found: Mapping[str, np.ndarray], size: int | None) -> dict[str, Any]:
    images = shrink(found["images"] / np.float32(255), size)
    block = np.cumsum(np.diff(found["index"], prepend=0) > 1)
    return {
        "images": images[:, None],
        "labels": found["labels"],
        "tumor": shrink_mask(found["masks"], size),
        # What is brighter than air, holes filled.
        "brain": np.stack([ndimage.binary_fill_holes(i > 0.04) for i in images]),
        "patient": [f"block {number:02d}" for number in block],
        "site": ["Cheng"] * len(block),
        "z": found["index"],
        "sequences": ("t1ce",),
        "classes": ("glioma", "meningioma", "pituitary"),
    }


SET = PackedSet(
    "Cheng",
    "cheng/cheng_128.npz",
    ("images", "masks", "labels", "index"),
    _samples,
    "fetch them with data_scripts/fetch_cheng.py and ",
)


def cheng_slices(
    path: str | os.PathLike[str] | None = None, size: int | None = None
) -> SliceSet:
    """T1-weighted slices with contrast agent, each with the border of its tumor.

    Cheng 2015 and 2016 (``cheng2015``, ``cheng2016``), CC BY 4.0. Patients are not told
    in the packed file, which holds every other block of 50 slices. Most neighbors in
    it are of one patient, so that a block stands for a patient: none is in two of them.
    ``brain`` is the head: the skull is in these images.

    Parameters
    ----------
    path, size
        See :meth:`~lrpbook_lib.data.sets.packed.PackedSet.slices`.

    Returns
    -------
    SliceSet
        One channel, classes glioma, meningioma, pituitary.
    """
    return SET.slices(path, size)
