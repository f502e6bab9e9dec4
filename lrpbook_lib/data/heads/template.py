"""The head around the brain of MNI152: a drawn skull, scalp, face and neck; regions.

The brain is the one of :mod:`~lrpbook_lib.data.phantom.anatomy`, which the phantom of
gliomas shares. Everything outside of it is drawn: no voxel of it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from lrpbook_lib.data.phantom.anatomy import Atlas, load_atlas

if TYPE_CHECKING:
    import torch

#: Regions of a head, by their number in a region map. They do not overlap.
REGIONS = (
    "outside",
    "contour",
    "cortex",
    "other white matter",
    "white by the ventricles",
    "deep gray",
    "hippocampi",
    "ventricles",
    "other fluid",
)
#: Where the synthetic disease acts upon tissue itself.
AFFECTED = ("hippocampi", "white by the ventricles")
#: Half the width of the shell that counts as contour of the brain, mm.
CONTOUR = 4.0

#: Grid of the drawn parts: MNI coordinates (mm) of its first voxel, shape, spacing.
_ORIGIN = np.array([-112.0, -150.0, -150.0], dtype=np.float32)
_SHAPE = (113, 129, 129)
_STEP = 2.0
# Ellipsoids in MNI coordinates, mm, drawn on the template by eye: centers of the right
# side and half axes. Real outlines vary more than these differ from any of them.
_DEEP_GRAY = {
    "thalamus": ((11, -18, 8), (10, 14, 9)),
    "caudate": ((13, 12, 10), (6, 13, 11)),
    "putamen and pallidum": ((25, 1, 1), (9, 17, 10)),
}
_HIPPOCAMPUS = ((27, -22, -13), (9, 19, 8))
#: How far beside the ventricles white matter counts as such, mm.
_BESIDE = 10.0


@dataclass(frozen=True)
class Template:
    """What a head is drawn from, in MNI space.

    Attributes
    ----------
    brain
        The tissue maps.
    outside
        ``(5, X, Y, Z)`` float32 on `origin` and `step`: distance from the hull of the
        brain, mm, positive outside; distance from face and neck, likewise; and the
        unit vectors away from the hull's middle, which fade with depth.
    local
        ``(3, X, Y, Z)`` float32 on the grid of the tissue maps: hippocampi, white
        matter beside the ventricles and deep gray, from 0 to 1.
    regions
        ``(X, Y, Z)`` uint8 on the same grid, see :data:`REGIONS`. Contour and outside
        are not told here: they follow from the distance.
    """

    brain: Atlas
    outside: torch.Tensor
    origin: np.ndarray
    step: float
    local: torch.Tensor
    regions: torch.Tensor


def ellipsoid(
    mni: np.ndarray, center: tuple[float, ...], axes: tuple[float, ...]
) -> np.ndarray:
    """How far inside a pair of ellipsoids, left and right, a point lies: 1 at the rim.

    ``(X, Y, Z)``, from coordinates ``(3, X, Y, Z)`` in mm.
    """
    x = np.abs(mni[0]) - center[0]
    rest = [(mni[i] - center[i]) / axes[i] for i in (1, 2)]
    return np.sqrt((x / axes[0]) ** 2 + rest[0] ** 2 + rest[1] ** 2)


@lru_cache(maxsize=2)
def load_template(spacing: float) -> Template:
    """Draw the template, smoothed for sampling at `spacing` mm, once a process."""
    import torch  # takes seconds: planning a cohort does without

    atlas = load_atlas(spacing)
    gray, white, brain = atlas.maps.numpy()
    local, regions = _regions(atlas, gray, white, brain)
    arrays = _around(atlas, brain), local, regions
    outside, soft, hard = (torch.from_numpy(np.ascontiguousarray(a)) for a in arrays)
    return Template(atlas, outside, _ORIGIN, _STEP, soft, hard)


def _grid(origin: np.ndarray, shape: tuple[int, ...], step: float) -> np.ndarray:
    places = np.meshgrid(
        *(np.arange(n, dtype=np.float32) for n in shape), indexing="ij"
    )
    return np.stack(places) * step + np.asarray(origin, "f4")[:, None, None, None]


def _around(atlas: Atlas, brain: np.ndarray) -> np.ndarray:
    """Distances from hull, face and neck, and the way out of the hull."""
    mni = _grid(_ORIGIN, _SHAPE, _STEP)
    inside = np.zeros(_SHAPE, dtype=bool)
    coarse = brain[::2, ::2, ::2] > 0.5
    lead = np.rint((atlas.origin - _ORIGIN) / _STEP).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(lead, coarse.shape, strict=True))
    inside[box] = coarse
    # Closed by a ball: a skull does not follow the sulci.
    away = ndimage.distance_transform_edt(~inside)
    closed = ndimage.distance_transform_edt(away < 5) > 5
    hull = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(
        closed
    )
    hull = ndimage.gaussian_filter(hull.astype("f4") * _STEP, 1.2)
    x, y, z = mni
    neck = np.maximum(np.hypot(x / 1.05, (y + 38) / 1.1) - 52, z + 45)
    face = (
        np.sqrt((x / 68) ** 2 + ((y - 28) / 66) ** 2 + ((z + 62) / 58) ** 2) - 1
    ) * 60
    body = ndimage.gaussian_filter(np.minimum(neck, face).astype("f4"), 2)
    slope = np.stack(np.gradient(hull, _STEP))
    slope /= np.maximum(np.linalg.norm(slope, axis=0), 1e-3)
    # The surface moves in, the middle stays; outside the hull nothing moves.
    fade = np.where(hull < 0, np.exp(hull / 18), np.exp(-hull / 4))
    pull = ndimage.gaussian_filter((slope * fade).astype("f4"), (0, 1, 1, 1))
    return np.stack([hull, body, *pull]).astype("f4")


def _regions(
    atlas: Atlas, gray: np.ndarray, white: np.ndarray, brain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Soft maps of what the disease touches, and the map of all regions."""
    mni = _grid(atlas.origin, gray.shape, atlas.step)
    hippocampus = ellipsoid(mni, *_HIPPOCAMPUS)
    deep = np.min([ellipsoid(mni, *each) for each in _DEEP_GRAY.values()], axis=0)
    near = ndimage.zoom(np.linalg.norm(atlas.push.numpy(), axis=0), 3, order=1)
    fit = np.zeros(gray.shape, dtype="f4")
    sizes: list[tuple[int, int]] = list(zip(fit.shape, near.shape, strict=True))
    low = tuple(slice(0, min(pair)) for pair in sizes)
    fit[low] = near[low]
    beside = fit > np.exp(-_BESIDE / 14)  # as the push fades with distance
    fluid = np.clip(brain - gray - white, 0, 1)
    label = np.zeros(gray.shape, dtype=np.uint8)

    def put(name: str, where: np.ndarray) -> None:
        label[where & (brain > 0.5)] = REGIONS.index(name)

    put("other fluid", brain > 0.5)
    put("cortex", gray > 0.5 * brain)
    put("other white matter", white > 0.5 * brain)
    put("ventricles", (fluid > 0.5) & beside)
    put("white by the ventricles", (white > 0.5) & beside)
    put("deep gray", (deep < 1) & (fluid < 0.5))
    put("hippocampi", (hippocampus < 1) & (gray > 0.3) & (fluid < 0.5))
    softened = [
        ndimage.gaussian_filter((label == REGIONS.index(name)).astype("f4"), 1.0)
        for name in ("hippocampi", "white by the ventricles", "deep gray")
    ]
    return np.stack(softened), label
