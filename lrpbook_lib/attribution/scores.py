"""How much of a map lies where it should, and how much would by chance.

In all of them ``relevance`` is ``(B, C, *space)``, of any number of axes; ``mask`` and
``brain`` are ``(B, *space)`` or ``(B, 1, *space)``, bool or labels of which everything
above zero counts. All answer ``(B,)`` and never NaN: zero where the mask is empty, and
zero where no relevance is positive, for then the map points nowhere.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
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
    see :func:`chance_level`. Where it is zero, its gradient is zero, too.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    mask, brain : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
        The tumor, and where relevance counts at all; the tumor counts as brain.
    positive : {"sum", "channel"}
        Whether to clip at zero after the channels are summed (usual), or each channel
        by itself (as the paper's code does). The two give different scores.
    area_normalized : bool
        Mean relevance by area instead of sums: tumor mean over tumor mean plus mean of
        the healthy brain, which is one half by chance.
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
    return _share(inside, inside + outside)


def chance_level(mask: Tensor, brain: Tensor) -> Tensor:
    r"""The score of uniform relevance: :math:`|M| / |M \cup B|`."""
    tumor = mask.flatten(1) > 0
    both = tumor | (brain.flatten(1) > 0)
    return tumor.sum(1) / both.sum(1).clamp(min=1)


def lift(relevance: Tensor, mask: Tensor, brain: Tensor) -> Tensor:
    """The tumor score over its chance level: 1 for a uniform map."""
    return _share(tumor_lrp_score(relevance, mask, brain), chance_level(mask, brain))


def relevance_mass_accuracy(
    relevance: Tensor,
    mask: Tensor,
    pooling: Literal["positive", "absolute", "squared"] = "positive",
) -> Tensor:
    r"""Share of the map that lies in the mask, :math:`\sum_M R / \sum R`.

    Arras et al. 2022 (``arras2022``). Relevance is pooled over channels to something
    that is not negative: clip their sum at zero, take its absolute value, or sum the
    squares. Without that the share may exceed one.
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
    return _share(inside, heat.flatten(1).sum(1))


def energy_pointing_game(relevance: Tensor, mask: Tensor) -> Tensor:
    r"""Share of positive relevance in the mask, :math:`\sum_M R^+ / \sum R^+`.

    Wang et al. 2020 (``wang2020``): the tumor score with the whole image for the brain,
    and relevance mass accuracy with positive pooling.
    """
    return relevance_mass_accuracy(relevance, mask, "positive")


def relevance_rank_accuracy(relevance: Tensor, mask: Tensor) -> Tensor:
    r"""Share of the mask among the :math:`|M|` most relevant pixels.

    Arras et al. 2022 (``arras2022``). Pixels that tie for the last places count by
    their expected share, so that the order in memory does not matter. By chance it is
    :math:`|M|` over the number of pixels.
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
    that lies in the mask counts. A maximum ``tolerance`` pixels off the mask, in any
    direction, still hits; 15 in the original, on photographs.
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


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Their quotient; zero, with a finite gradient, where the whole is none."""
    there = whole > 0
    return torch.where(there, part / torch.where(there, whole, 1.0), 0.0)
