"""Volumes on one grid: where the brain is, and the same on other voxels."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Volumes(Mapping[str, np.ndarray]):
    """The volumes of a case on one grid; ``volumes["t1"]`` and so on.

    Attributes
    ----------
    arrays
        Channel name to ``(X, Y, Z)``; the mask ``seg`` is uint8 in the scheme of
        :data:`~lrpbook_lib.data.cases.readers.LABELS`, ``brain`` is bool. The axes run
        to the right, to the front and up (RAS).
    affine
        ``(4, 4)``: voxel to scanner coordinates in mm.
    """

    arrays: dict[str, np.ndarray]
    affine: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edges of a voxel, mm."""
        x, y, z = nib.affines.voxel_sizes(self.affine)
        return float(x), float(y), float(z)


def brain_mask(images: list[np.ndarray], stripped: bool) -> np.ndarray:
    """Where the brain is: what is not zero, or what stands out from the background.

    Parameters
    ----------
    images
        ``(X, Y, Z)`` each, on one grid.
    stripped
        Whether everything outside the brain is zero. Otherwise the mask is the
        largest piece above half of Otsu's threshold: the head, skull included.
    """
    if stripped:
        mask = images[0] != 0
        for image in images[1:]:
            mask = mask | (image != 0)
        return mask
    mean = np.mean([_apart_from_background(i) for i in images], axis=0)
    mask = mean > 0.5 * _otsu(mean)
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return fill_slices(mask)


def _apart_from_background(image: np.ndarray) -> np.ndarray:
    """How far intensities lie from those at the border, from 0 to 1.

    The background of most images is black; of a map with negative values, e.g., it is
    gray.
    """
    border = [image[[0, -1]].ravel(), image[:, [0, -1]].ravel()]
    away = np.abs(image.astype(np.float32) - np.median(np.concatenate(border)))
    return away / max(float(away.max()), 1e-6)


def fill_slices(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of every axial slice of ``(X, Y, Z)``."""
    filled = [ndimage.binary_fill_holes(mask[..., z]) for z in range(mask.shape[2])]
    return np.stack(filled, axis=2)


def _otsu(image: np.ndarray) -> float:
    counts, edges = np.histogram(image, bins=128)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (
            below * (below[-1] - below)
        )
    return float(middle[np.nanargmax(between[:-1])])


def resample(volumes: Volumes, spacing: float) -> Volumes:
    """Bring volumes to cubic voxels of `spacing` mm through torchio.

    Images are interpolated linearly, masks take their nearest neighbor.
    """
    if np.allclose(volumes.spacing, spacing, rtol=0.01):
        return volumes
    moved = to_subject(volumes, resample_to=spacing)
    arrays = {}
    for name, array in volumes.arrays.items():
        data = moved[name].numpy()[0]
        arrays[name] = data.astype(array.dtype, copy=False)
    return Volumes(arrays, moved["seg" if "seg" in volumes else name].affine)


def to_subject(volumes: Volumes, resample_to: float | None = None) -> Any:
    """The volumes as a torchio subject, for its transforms."""
    import torch
    import torchio as tio

    images = {}
    for name, array in volumes.arrays.items():
        discrete = name in ("seg", "brain")
        kind = tio.LabelMap if discrete else tio.ScalarImage
        data = np.ascontiguousarray(array[None].astype("u1" if discrete else "f4"))
        images[name] = kind(tensor=torch.from_numpy(data), affine=volumes.affine)
    subject = tio.Subject(**images)
    return tio.Resample(resample_to)(subject) if resample_to else subject
