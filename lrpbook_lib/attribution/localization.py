"""Relatives of the tumor score: other ways to say that a heatmap hits the mask.

All answer ``(B,)`` from 0 to 1 and never NaN: zero where the mask is empty, and zero
where no relevance is positive, for then the map points nowhere.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .score import chance_level, region_of, tumor_lrp_score


def relevance_mass_accuracy(
    relevance: Tensor,
    mask: Tensor,
    pooling: Literal["positive", "absolute", "squared"] = "positive",
) -> Tensor:
    r"""Share of the map that lies in the mask, :math:`\sum_M R / \sum R`.

    Arras et al. 2022 (``arras2022``). Relevance is pooled over channels to something
    that is not negative; without that the share may exceed one.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
    pooling : {"positive", "absolute", "squared"}
        Clip the sum over channels at zero, take its absolute value, or sum the squares.

    Returns
    -------
    Tensor of shape (B,)
    """
    pools = {
        "positive": lambda r: r.sum(1).clamp(min=0),
        "absolute": lambda r: r.sum(1).abs(),
        "squared": lambda r: r.square().sum(1),
    }
    if pooling not in pools:
        raise ValueError(f"pooling is {pooling!r}; it takes one of {list(pools)}.")
    heat = pools[pooling](relevance)
    inside = (heat * region_of(mask, heat)).flatten(1).sum(1)
    total = heat.flatten(1).sum(1)
    return torch.where(total > 0, inside / torch.where(total > 0, total, 1.0), 0.0)


def energy_pointing_game(relevance: Tensor, mask: Tensor) -> Tensor:
    r"""Share of positive relevance in the mask, :math:`\sum_M R^+ / \sum R^+`.

    Wang et al. 2020 (``wang2020``): the tumor score with the whole image for the brain,
    and relevance mass accuracy with positive pooling.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
    """
    return relevance_mass_accuracy(relevance, mask, "positive")


def relevance_rank_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    r"""Share of the mask among the :math:`|M|` most relevant pixels.

    Arras et al. 2022 (``arras2022``). Pixels that tie for the last places count by
    their expected share, so that the order in memory does not matter. By chance it is
    :math:`|M|` over the number of pixels.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
    """
    heat = relevance.sum(1)
    inside = region_of(mask, heat).flatten(1)
    heat = heat.flatten(1)
    size = inside.sum(1)
    places = size.long().clamp(min=1)
    last = heat.sort(1, descending=True).values.gather(1, places[:, None] - 1)
    above, tied = (heat > last).to(heat.dtype), (heat == last).to(heat.dtype)
    left = (size - above.sum(1)).clamp(min=0)
    hits = (above * inside).sum(1) + left * (tied * inside).sum(1) / tied.sum(1)
    defined = (size > 0) & (heat > 0).any(1)
    return torch.where(defined, hits / size.clamp(min=1), 0.0)


def pointing_game(relevance: Tensor, mask: Tensor, tolerance: int = 0) -> Tensor:
    r"""Whether the most relevant pixel lies in the mask: 1 or 0.

    Zhang et al. 2018 (``zhang2018``). Of several pixels with the maximum, the share
    that lies in the mask counts.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
    tolerance : int
        A maximum this many pixels off the mask, in any direction, still hits; 15 in the
        original, on photographs.
    """
    heat = relevance.sum(1)
    inside = region_of(mask, heat)
    if tolerance:
        grow = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[heat.ndim - 2]
        inside = grow(inside[:, None], 2 * tolerance + 1, 1, tolerance)[:, 0]
    heat, inside = heat.flatten(1), inside.flatten(1)
    peak = heat.amax(1, keepdim=True)
    tops = ((heat == peak) & (peak > 0)).to(heat.dtype)
    return (tops * inside).sum(1) / tops.sum(1).clamp(min=1)


def lift(relevance: Tensor, mask: Tensor, brain: Tensor) -> Tensor:
    """The tumor score over its chance level: 1 for a uniform map.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask, brain : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
    """
    chance = chance_level(mask, brain)
    score = tumor_lrp_score(relevance, mask, brain)
    return torch.where(chance > 0, score / torch.where(chance > 0, chance, 1.0), 0.0)
