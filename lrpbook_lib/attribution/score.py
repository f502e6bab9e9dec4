"""How much of a heatmap lies where it should, and how much would by chance."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def tumor_lrp_score(
    relevance: Tensor,
    mask: Tensor,
    brain: Tensor,
    *,
    positive: Literal["sum", "channel"] = "sum",
    area_normalized: bool = False,
) -> Tensor:
    r"""Positive relevance in the tumor over positive relevance in the brain.

    .. math:: s = \frac{\sum_{i \in M} R_i^+}{\sum_{i \in M \cup B} R_i^+}

    Sefcik & Benesova 2021 (``sefcik2021``). Uniform relevance scores the area fraction,
    see :func:`chance_level`.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
        The tumor: bool, or labels of which everything above zero counts.
    brain : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
        Where relevance counts at all; the tumor counts as brain.
    positive : {"sum", "channel"}
        Whether to clip at zero after the channels are summed (usual), or each channel
        by itself (as the paper's code does). The two give different scores.
    area_normalized : bool
        Mean relevance by area instead of sums: tumor mean over tumor mean plus mean of
        the healthy brain, which is one half by chance.

    Returns
    -------
    Tensor of shape (B,)
        From 0 to 1. Zero where the mask is empty and where no relevance is positive:
        never NaN, and with a finite gradient (zero) there.
    """
    if positive not in ("sum", "channel"):
        raise ValueError(f"positive is {positive!r}; it takes 'sum' or 'channel'.")
    channels = relevance.clamp(min=0) if positive == "channel" else relevance
    heat = channels.sum(1).clamp(min=0)  # (B, *space)
    tumor = region_of(mask, heat)
    healthy = region_of(brain, heat) * (1 - tumor)
    inside = (heat * tumor).flatten(1).sum(1)
    outside = (heat * healthy).flatten(1).sum(1)
    if area_normalized:
        inside = inside / tumor.flatten(1).sum(1).clamp(min=1)
        outside = outside / healthy.flatten(1).sum(1).clamp(min=1)
    total = inside + outside
    none = total <= 0
    return torch.where(none, 0.0, inside / torch.where(none, 1.0, total))


def chance_level(mask: Tensor, brain: Tensor) -> Tensor:
    r"""The score of uniform relevance: :math:`|M| / |M \cup B|`.

    Parameters
    ----------
    mask, brain : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``

    Returns
    -------
    Tensor of shape (B,)
        Zero where there is neither tumor nor brain.
    """
    tumor = mask.flatten(1) > 0
    both = tumor | (brain.flatten(1) > 0)
    return tumor.sum(1) / both.sum(1).clamp(min=1)


def region_of(region: Tensor, heat: Tensor) -> Tensor:
    """A region as zeros and ones, shaped like the heatmap ``(B, *space)``."""
    if region.ndim == heat.ndim + 1 and region.shape[1] == 1:
        region = region[:, 0]
    if region.shape != heat.shape:
        raise ValueError(
            f"A mask of shape {tuple(region.shape)} does not fit relevance of shape "
            f"{tuple(heat.shape)} (channels summed)."
        )
    return (region > 0).to(heat.dtype)
