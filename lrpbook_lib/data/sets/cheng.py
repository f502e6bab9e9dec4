"""The brain tumors of Cheng et al.: real slices of three tumor types."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from lrpbook_lib.places import data_home

if TYPE_CHECKING:
    from lrpbook_lib.data.samples import SliceSet

TYPES = ("glioma", "meningioma", "pituitary")
SITE = "Cheng"


def cheng_slices(
    path: str | os.PathLike[str] | None = None, size: int | None = None
) -> "SliceSet":
    """T1-weighted slices with contrast agent, each with the border of its tumor.

    Cheng 2015 and 2016 (``cheng2015``, ``cheng2016``), CC BY 4.0. Patients are not told
    in the packed file, which holds every other block of 50 slices. Most neighbors in
    it are of one patient, so that a block stands for a patient: none is in two of them.
    ``brain`` is the head: the skull is in these images.

    Parameters
    ----------
    path
        ``cheng_128.npz``: images, masks ``(N, 128, 128)``, labels, index ``(N,)``.
        Default: below :func:`~lrpbook_lib.data.data_home`.
    size
        Height and width, those of the file divided by a whole number; default as they
        are.

    Returns
    -------
    SliceSet
        One channel, classes glioma, meningioma, pituitary.
    """
    from lrpbook_lib.data.samples import SliceSet

    with np.load(_path(path), allow_pickle=False) as packed:
        images, masks, labels, index = (
            packed[name] for name in ("images", "masks", "labels", "index")
        )
    images = shrink(images / np.float32(255), size)
    return SliceSet.from_arrays(
        images[:, None],
        labels,
        shrink((masks > 0).astype(np.float32), size) >= 0.5,
        np.stack([_head(image) for image in images]),
        [f"block {block:02d}" for block in np.cumsum(np.diff(index, prepend=0) > 1)],
        [SITE] * len(index),
        index,
        sequences=("t1ce",),
        classes=TYPES,
    )


def _path(path: str | os.PathLike[str] | None) -> Path:
    if path is not None:
        return Path(path)
    home = data_home()
    found = home / "cheng" / "cheng_128.npz" if home else None
    if found is None or not found.is_file():
        raise FileNotFoundError(
            "the slices of Cheng are not on this machine: fetch them with "
            "data_scripts/fetch_cheng.py and let LRPBOOK_DATA name the folder above "
            "cheng/cheng_128.npz"
        )
    return found


def shrink(images: np.ndarray, size: int | None) -> np.ndarray:
    """Means over squares: ``(..., H, H)`` to ``(..., size, size)``."""
    *rest, whole, _ = images.shape
    size = whole if size is None else size
    if size < 1 or whole % size:
        raise ValueError(f"size={size} does not divide {whole}")
    k = whole // size
    return np.asarray(images.reshape(*rest, size, k, size, k).mean((-3, -1)))


def _head(image: np.ndarray) -> np.ndarray:
    """What is brighter than air, holes filled."""
    return np.asarray(ndimage.binary_fill_holes(image > 0.04))
