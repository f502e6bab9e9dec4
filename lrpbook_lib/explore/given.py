"""What an explorer is given: checked, named, and brought into 256 levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore.widget import as_array, check_same
from lrpbook_lib.lrp import COMPOSITES, Composite, Epsilon, Gamma

#: Beside the presets of the library, one with both knobs.
EPSILON_GAMMA = Composite(dense=Epsilon(), conv=Gamma())


def slice_set(slices: Any, tumor: Any, brain: Any, labels: Any) -> SliceSet:
    """The slices as they are, or a set made of arrays; what is wrong is named."""
    if not isinstance(slices, SliceSet):
        detached = slices.detach().cpu() if isinstance(slices, Tensor) else slices
        array = np.asarray(detached, dtype=np.float32)
        array = as_array(
            array[None] if array.ndim == 3 else array, "slices", "N, C, H, W"
        )
        masks = (
            np.zeros((len(array), *array.shape[2:]), np.uint8)
            if tumor is None
            else tumor
        )
        inside = (array != 0).any(1) if brain is None else brain
        masks, inside = (
            as_array(v, k, "N, H, W") for k, v in (("tumor", masks), ("brain", inside))
        )
        shape = (len(array), *array.shape[2:])
        check_same({"slices": shape, "tumor": masks.shape, "brain": inside.shape})
        truth = -np.ones(len(array), int) if labels is None else labels
        truth = as_array(truth, "labels", "N")
        names = [f"image {i + 1}" for i in range(len(array))]
        return SliceSet.from_arrays(array, truth, masks, inside, names)
    if not len(slices):
        raise ValueError("slices holds no slice")
    as_array(slices.images, "slices.images", "N, C, H, W")
    return slices


def named_composites(
    given: Sequence[str] | Mapping[str, Composite],
) -> dict[str, Composite]:
    """Composites by name."""
    known = {**COMPOSITES, "epsilon-gamma": EPSILON_GAMMA}
    if isinstance(given, str):
        given = (given,)
    if not given:
        raise ValueError("composites is empty: name at least one, ('epsilon-plus',)")
    if isinstance(given, Mapping):
        return dict(given)
    for name in given:
        if name not in known:
            raise ValueError(f"no composite {name!r}; there are {', '.join(known)}")
    return {name: known[name] for name in given}


def quantized(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each channel in 256 levels, zero kept exactly: codes, and (low, step) of each."""
    low = np.minimum(images.min((2, 3)), 0).astype(float)
    step = (np.maximum(images.max((2, 3)), 0) - low) / 255
    step = np.where(step > 0, step, 1)
    low = -np.rint(-low / step) * step
    codes = np.rint((images - low[..., None, None]) / step[..., None, None])
    return np.clip(codes, 0, 255).astype(np.uint8), np.stack([low, step], -1)


def class_names(known: Sequence[str], count: int) -> list[str]:
    """The known names, if they are as many as the outputs."""
    return list(known) if len(known) == count else [f"class {k}" for k in range(count)]


def slice_words(data: SliceSet, classes: Sequence[str]) -> list[dict[str, Any]]:
    """What the menus say of each slice."""
    rows = []
    for patient, site, z, label in zip(
        data.patient, data.site, data.z, data.labels, strict=True
    ):
        grade = classes[label] if 0 <= label < len(classes) else "unknown"
        site_words = f"site {site}" if site else ""
        rows.append(
            {
                "patient": str(patient),
                "group": f"{patient} ({grade})",
                "label": f"z {z}",
                "site": str(site),
                "words": site_words,
                "truth": int(label),
            }
        )
    return rows
