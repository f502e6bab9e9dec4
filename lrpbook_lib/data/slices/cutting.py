"""Cutting one case into its slices. Torch is not imported: workers stay small."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lrpbook_lib.data.cases.case import MASK, Case
from lrpbook_lib.data.cases.checking import check_voxels
from lrpbook_lib.data.cases.volumes import fill_slices, resample
from lrpbook_lib.data.slices.choosing import (
    NORMALIZATIONS,
    SliceRecipe,
    choose_slices,
    normalize,
)


@dataclass(frozen=True)
class SliceSettings:
    """What slices of a case depend on, besides its files."""

    sequences: tuple[str, ...]  #: channels, in order
    recipe: SliceRecipe
    normalization: str  #: a name in ``NORMALIZATIONS``
    size: tuple[int, int] | None = None  #: height and width; default as they are
    spacing: float | None = None  #: edge of cubic voxels to resample to first, mm

    def __post_init__(self) -> None:
        if not self.sequences:
            raise ValueError("sequences is empty: name at least one, such as 't1'")
        if MASK in self.sequences or len(set(self.sequences)) < len(self.sequences):
            raise ValueError(
                f"sequences={list(self.sequences)}: name each image once, and not the "
                "mask, which comes along by itself"
            )
        if self.size is not None and (
            len(self.size) != 2
            or not all(isinstance(n, int) and n > 0 for n in self.size)
        ):
            raise ValueError(
                f"size={self.size}: give a whole number of pixels, or (height, width)"
            )
        if self.spacing is not None and not self.spacing > 0:
            raise ValueError(f"spacing={self.spacing} mm: give a positive number")
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization={self.normalization!r} is unknown; it is one of "
                f"{', '.join(NORMALIZATIONS)}"
            )


def slices_of(case: Case, settings: SliceSettings) -> dict[str, Any]:
    """The slices of one case.

    A case without a mask has no tumor anywhere: the recipe decides whether slices
    are taken all the same.

    Returns
    -------
    dict
        ``images`` (S, C, H, W) float32, ``tumor`` (S, H, W) uint8, ``brain``
        (S, H, W) bool, ``labels`` and ``z`` (S,) int64.
    """
    volumes = case.read(settings.sequences)
    for name in settings.sequences:
        if troubles := check_voxels(name, case.paths[name], volumes[name]):
            raise ValueError(troubles[0][1])
    if settings.spacing is not None:
        volumes = resample(volumes, settings.spacing)
    images = [volumes[name] for name in settings.sequences]
    seg = volumes.get(MASK, np.zeros(images[0].shape, np.uint8))
    brain = case.reader.region(images)
    chosen = choose_slices(settings.recipe, seg, brain, case.label, volumes.spacing)
    inside = fill_slices(brain[..., chosen]) if len(chosen) else brain[..., chosen]
    scaled = [
        normalize(image, brain, chosen, settings.normalization) for image in images
    ]
    tumor = seg[..., chosen]
    size = settings.size
    shown_brain = _screen(inside.astype("u1"), size) > 0
    shown = np.stack([_screen(s, size) for s in scaled], axis=1)
    shown *= shown_brain[:, None]  # nothing outside the brain
    classes = case.reader.classes
    label = classes.index(case.label) if case.label in classes else -1
    return {
        "images": shown,
        "tumor": _screen(tumor, size),
        "brain": shown_brain,
        "labels": np.where(tumor.any(axis=(0, 1)), label, len(classes)),
        "z": chosen.astype(np.int64),
    }


def _screen(volume: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """``(X, Y, S)`` right-front to ``(S, H, W)`` as on screen, scaled to `size`."""
    shown = np.ascontiguousarray(volume[::-1, ::-1].transpose(2, 1, 0))
    if size is None or shown.shape[1:] == size:
        return shown
    shown = np.pad(shown, [(0, 0), *_pads(shown.shape[1:], size)])
    real = shown.dtype == np.float32
    how = Image.Resampling.BILINEAR if real else Image.Resampling.NEAREST
    out = np.empty((len(shown), *size), dtype=shown.dtype)
    for row, page in enumerate(shown):
        out[row] = np.asarray(Image.fromarray(page).resize(size[::-1], how))
    return out


def _pads(have: Sequence[int], size: Sequence[int]) -> list[tuple[int, int]]:
    """What to add before and after each axis so that nothing will be stretched."""
    ratio = max(n / s for n, s in zip(have, size, strict=True))
    lacking = [round(s * ratio) - h for h, s in zip(have, size, strict=True)]
    return [(n // 2, n - n // 2) for n in lacking]


def back_to_volume(
    maps: np.ndarray, z: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Lay maps of slices over the volume that the slices were cut from.

    The way back of what cutting does: each pixel of a map is spread over the voxels
    that it covers, by the share of it that lies in each, so that the sum of a map
    stays what it is (but for what lies in the margin that cutting added). Slices that
    were not cut are zero.

    Parameters
    ----------
    maps
        ``(S, H, W)`` as on screen, of any size.
    z
        ``(S,)`` axial positions.
    shape
        ``(X, Y, Z)`` of the volume, whose axes run to the right, front and up.
    """
    width, height, _ = shape
    (top, bottom), (left, right) = _pads((height, width), maps.shape[1:])
    rows = _shares(maps.shape[1], height + top + bottom)[top : top + height]
    columns = _shares(maps.shape[2], width + left + right)[left : left + width]
    shown = np.einsum("yh,shw,xw->sxy", rows, maps, columns, optimize=True)
    volume = np.zeros(shape, np.float32)
    volume[..., z] = np.moveaxis(shown[:, ::-1, ::-1], 0, 2)
    return volume


def _shares(pixels: int, voxels: int) -> np.ndarray:
    """``(voxels, pixels)``: which share of each pixel's extent lies in each voxel."""
    edges = np.arange(voxels + 1) * (pixels / voxels)  # in units of pixels
    low = np.maximum(edges[:-1, None], np.arange(pixels))
    high = np.minimum(edges[1:, None], np.arange(1, pixels + 1))
    return np.maximum(high - low, 0)
