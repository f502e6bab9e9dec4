"""Volumes on one grid: where the brain is, and the same on other voxels."""

from typing import Any

import nibabel as nib
import numpy as np
from scipy import ndimage


class Volumes(dict[str, np.ndarray]):
    """The volumes of a case on one grid; ``volumes["t1"]`` and so on.

    Each is ``(X, Y, Z)``, the axes to the right, to the front and up. The mask ``seg``
    is uint8 in the scheme of :data:`~lrpbook_lib.data.cases.readers.LABELS`, ``brain``
    is bool.

    Attributes
    ----------
    affine
        ``(4, 4)``: voxel to scanner coordinates in mm.
    """

    affine: np.ndarray

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray], affine: np.ndarray) -> "Volumes":
        """Volumes from arrays by name."""
        volumes = cls(arrays)
        volumes.affine = affine
        return volumes

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edges of a voxel, mm."""
        x, y, z = nib.affines.voxel_sizes(self.affine).tolist()
        return x, y, z


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
        return np.any([image != 0 for image in images], axis=0)
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


def _otsu(image: np.ndarray) -> float:
    """The threshold between two kinds of intensities whose means lie furthest apart."""
    counts, edges = np.histogram(image, bins=128)
    middle = (edges[:-1] + edges[1:]) / 2
    below, sums = np.cumsum(counts), np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = (sums[-1] * below / below[-1] - sums) ** 2
        between = away / (below * (below[-1] - below))
    return float(middle[np.nanargmax(between[:-1])])


def fill_slices(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of every axial slice of ``(X, Y, Z)``."""
    filled = [ndimage.binary_fill_holes(mask[..., z]) for z in range(mask.shape[2])]
    return np.stack(filled, axis=2)


def resample(volumes: Volumes, spacing: float) -> Volumes:
    """Bring volumes to cubic voxels of `spacing` mm through torchio.

    Images are interpolated linearly, masks take their nearest neighbor.
    """
    import torchio as tio

    if np.allclose(volumes.spacing, spacing, rtol=0.01):
        return volumes
    moved = tio.Resample(spacing)(to_subject(volumes))
    arrays = {n: moved[n].numpy()[0].astype(a.dtype) for n, a in volumes.items()}
    return Volumes.of(arrays, next(iter(moved.values())).affine)


def to_subject(volumes: Volumes) -> Any:
    """The volumes as a torchio subject, for its transforms."""
    import torch
    import torchio as tio

    images = {}
    for name, array in volumes.items():
        discrete = name in ("seg", "brain")
        kind = tio.LabelMap if discrete else tio.ScalarImage
        data = np.ascontiguousarray(array[None].astype("u1" if discrete else "f4"))
        images[name] = kind(tensor=torch.from_numpy(data), affine=volumes.affine)
    return tio.Subject(**images)
