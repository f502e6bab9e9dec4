"""What widgets are given: checked and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore.levels import plain


def arrays(given: dict[str, tuple[Any, str]]) -> list[np.ndarray]:
    """Finite arrays whose axes of one name are of one length.

    Parameters
    ----------
    given
        Name to an array or tensor and its axes: ``{"images": (x, "n, C, H, W")}``.
    """
    sizes: dict[str, int] = {}
    found = {}
    for name, (value, shape) in given.items():
        array = found[name] = plain(value)
        axes = shape.split(", ")
        if array.ndim != len(axes):
            raise ValueError(f"{name} has shape {array.shape}; it must be ({shape})")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = int((~np.isfinite(array)).sum())
            raise ValueError(
                f"{name} has {bad} values that are NaN or infinite: np.nan_to_num("
                f"{name}) replaces them, but look first where they come from"
            )
        for axis, size in zip(axes, array.shape, strict=True):
            if sizes.setdefault(axis, size) != size:
                told = ", ".join(f"{k} {each.shape}" for k, each in found.items())
                raise ValueError(
                    f"these must be of one shape: {told}; they differ along {axis}"
                )
    return list(found.values())


def slice_set(slices: Any, tumor: Any, brain: Any, labels: Any) -> SliceSet:
    """The slices as they are, or a set made of arrays; what is wrong is named."""
    if isinstance(slices, SliceSet):
        if not len(slices):
            raise ValueError("slices holds no slice")
        arrays({"slices.images": (slices.images, "N, C, H, W")})
        return slices
    images = plain(slices).astype(np.float32)
    images = images[None] if images.ndim == 3 else images
    count, space = len(images), images.shape[2:]
    nothing = np.zeros((count, *space), np.uint8)
    given = {
        "slices": (images, "N, C, H, W"),
        "tumor": (nothing if tumor is None else tumor, "N, H, W"),
        "brain": ((images != 0).any(1) if brain is None else brain, "N, H, W"),
        "labels": (np.full(count, -1) if labels is None else labels, "N"),
    }
    images, masks, inside, truth = arrays(given)
    names = [f"image {i + 1}" for i in range(count)]
    return SliceSet.from_arrays(images, truth, masks, inside, names)


def slice_words(data: SliceSet, classes: Sequence[str]) -> list[dict[str, Any]]:
    """What the menus say of each slice."""
    known = dict(enumerate(classes))
    return [
        {
            "patient": str(patient),
            "group": f"{patient} ({known.get(int(label), 'unknown')})",
            "label": f"z {z}",
            "site": str(site),
            "words": f"site {site}" if site else "",
            "truth": int(label),
        }
        for patient, site, z, label in zip(
            data.patient, data.site, data.z, data.labels, strict=True
        )
    ]
