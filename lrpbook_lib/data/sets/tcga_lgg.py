"""Slices of the TCGA-LGG set in one file: real lower-grade gliomas, WHO II and III."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from lrpbook_lib.data.cases.case import Problem
from lrpbook_lib.data.cases.volumes import brain_mask, fill_slices
from lrpbook_lib.data.samples import SliceSet
from lrpbook_lib.data.sets.packed import PackedSet, shrink, shrink_mask


def _samples(found: Mapping[str, np.ndarray], size: int | None) -> dict[str, Any]:
    images = found["images"]
    names = [name.replace("_", "-") for name in found["patient"].tolist()]
    scaled, head = _scaled(images)
    problems = []
    for name in sorted(set(names)):
        t1, flair, t1ce = np.moveaxis(images[np.array(names) == name], 1, 0)
        pairs = (("t1", t1), ("t1ce", t1ce))
        if copied := [n for n, other in pairs if np.array_equal(other, flair)]:
            detail = f"{', '.join(copied)} repeats flair"
            told = Problem(name, "TCGA-LGG", "copied sequence", detail, False)
            problems.append(asdict(told))
    return {
        "images": shrink(scaled, size),
        "labels": found["who_grade"].astype(int) - 2,
        # Tumor whose region is not told, as for this set on disk.
        "tumor": shrink_mask(found["masks"], size) * np.uint8(5),
        "brain": shrink_mask(head, size),
        "patient": names,
        "site": [name.split("-")[1] for name in names],
        "z": found["slice_index"],
        "sequences": ("t1", "flair", "t1ce"),
        "classes": ("WHO II", "WHO III"),
        "problems": problems,
    }


def _scaled(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices ``(N, C, H, W)`` from 0 to 1 by their intensities in the head, and that.

    Whole volumes are not there, so that each slice is its own measure.
    """
    scaled = np.zeros(images.shape, np.float32)
    head = np.zeros((len(images), *images.shape[2:]), bool)
    for i, image in enumerate(images.astype(np.float32)[..., None]):
        inside = fill_slices(brain_mask(list(image), stripped=False))
        head[i] = inside[..., 0]
        for c, channel in enumerate(image):
            low, high = np.percentile(channel[inside], (1, 99))
            one = np.clip((channel - low) / max(high - low, 1e-6), 0, 1)
            scaled[i, c] = (one * inside)[..., 0]
    return scaled, head


SET = PackedSet(
    "TCGA-LGG",
    "tcga_lgg/tcga_lgg_128.npz",
    ("images", "masks", "patient", "who_grade", "slice_index"),
    _samples,
)


def tcga_lgg_slices(
    path: str | os.PathLike[str] | None = None, size: int | None = None
) -> SliceSet:
    """Slices with tumor of patients with lower-grade gliomas, WHO II or III.

    Buda et al. 2019 (``buda2019``). Some patients lack a contrast, and their files
    repeat FLAIR in its place: ``report()`` names them, with ``dropped`` false. The
    skull is on: ``brain`` is the head.

    Parameters
    ----------
    path, size
        See :meth:`~lrpbook_lib.data.sets.packed.PackedSet.slices`.

    Returns
    -------
    SliceSet
        Channels ``t1``, ``flair`` and ``t1ce`` from 0 to 1; labels by WHO II, WHO III;
        ``site`` is the code inside the patient's name.
    """
    return SET.slices(path, size)
