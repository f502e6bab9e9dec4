"""What is really put in: synthetic slices, scaled by percentiles to 0 to 1."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lrpbook_lib.data import cached_phantom, extract_slices, find_cases


@cache
def _cohort() -> tuple[Tensor, Tensor, Tensor]:
    cases = find_cases(cached_phantom(patients=12, seed=0))
    made = extract_slices(cases, ("t1", "t2", "flair"), size=96)
    parts = (made.images, made.tumor, made.brain)
    images, tumor, brain = (torch.as_tensor(part[:]).float() for part in parts)
    return images, (tumor > 0).float(), (brain > 0).float()


def slices(size: int, batch: int, space: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Images ``(B, C, *space)``, tumor and brain ``(B, *space)``, as floats.

    Volumes are piles of the first channel of one slice: what counts for time is that
    intensities lie where they do, most of them at zero.
    """
    images, tumor, brain = (part[torch.arange(batch) % len(part)] for part in _cohort())
    images = F.interpolate(images, (size, size), mode="bilinear").clamp(0, 1)
    tumor, brain = (F.interpolate(m[:, None], (size, size)) for m in (tumor, brain))
    if space == 3:
        images, tumor, brain = (
            part[:, :1, None].expand(-1, -1, size, -1, -1)
            for part in (images, tumor, brain)
        )
    return images.contiguous(), tumor[:, 0].contiguous(), brain[:, 0].contiguous()
