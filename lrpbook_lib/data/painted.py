"""Painted lesions on an average brain: a toy whose right answer is known.

No tumor looks like this. The toy is for first steps with heatmaps, in seconds and
without a download; experiments use the phantom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Lesions:
    """Slices of a template, every second one with a bright disk painted on."""

    images: Tensor  #: ``(N, 1, size, size)``: 0 outside the brain, to about 1
    labels: Tensor  #: ``(N,)``: 1 with a lesion, 0 without
    masks: Tensor  #: ``(N, size, size)`` bool: where the lesion is
    brain: Tensor  #: ``(N, size, size)`` bool


def painted_lesions(
    count: int = 256, size: int = 64, seed: int = 0, resolution: int = 3
) -> Lesions:
    """Axial slices of the MNI152 template with synthetic lesions.

    Parameters
    ----------
    count : int
        How many slices; every second one carries a lesion.
    size : int
        Height and width in pixels.
    seed : int
    resolution : int
        Of the template that nilearn ships, in millimeters.
    """
    from nilearn import datasets

    volume = datasets.load_mni152_template(resolution=resolution).get_fdata()
    depth = volume.shape[2]
    slices = torch.from_numpy(volume[:, :, int(0.4 * depth) : int(0.7 * depth)].copy())
    slices = slices.float().permute(2, 1, 0).flip(1)[:, None]  # (Z, 1, H, W)
    slices = F.interpolate(slices, (size, size), mode="bilinear")
    rng = np.random.default_rng(seed)
    chosen = slices[torch.from_numpy(rng.integers(0, len(slices), count))]
    brain = chosen[:, 0] > 0.1
    gain = torch.from_numpy(rng.uniform(0.6, 0.8, (count, 1, 1, 1))).float()
    noise = torch.from_numpy(rng.normal(0, 0.04, tuple(chosen.shape))).float()
    labels = torch.arange(count) % 2
    masks = torch.zeros_like(brain)
    rows, columns = torch.meshgrid(
        torch.arange(size), torch.arange(size), indexing="ij"
    )
    for i in range(1, count, 2):
        inside = F.avg_pool2d(brain[i][None].float(), 9, 1, 4)[0] > 0.99
        places = inside.nonzero()
        row, column = places[int(rng.integers(len(places)))]
        radius = rng.uniform(0.05, 0.09) * size
        disk = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        masks[i] = disk & brain[i]
    images = (chosen * gain + noise + 0.4 * masks[:, None]).clamp(min=0)
    return Lesions(images * brain[:, None], labels, masks, brain)
