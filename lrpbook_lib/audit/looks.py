"""What a heatmap is worth: does it follow the cause, and is it the network's own?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from lrpbook_lib.attribution import (
    chance_level,
    explainer,
    imputer,
    max_sensitivity,
    parameter_randomization,
    tumor_lrp_score,
)
from lrpbook_lib.attribution.interventions import logits_of

from .evidence import Evidence, mean_of, rank_correlation_of
from .use import changes, margin

#: Explainers that no loss of this library is usually trained with.
OTHERS = ("gradient_x_input", "gradcam")
CELLS = 6  #: blocks along each side of a slice
SOME = 20  #: slices whose weights are thrown away, or whose pixels are shaken


def maps_of(model: nn.Module, x: Tensor, name: Any) -> Tensor:
    """Heatmaps of the predicted classes, ``(B, C, H, W)``."""
    explain = explainer(model, name)
    parts = x.split(64)
    return torch.cat([explain(p, p_said(model, p))[1].detach() for p in parts])


def p_said(model: nn.Module, x: Tensor) -> Tensor:
    """The predicted classes ``(B,)``."""
    return logits_of(model, x).argmax(1)


def by_cause(
    model: nn.Module,
    x: Tensor,
    heat: Tensor,
    tumor: Tensor,
    brain: Tensor,
    who: np.ndarray,
) -> Iterator[Evidence]:
    """Whether slices, and blocks of a slice, with more relevance matter more."""
    effect = changes(model, x, tumor > 0, brain, "mean")
    score = tumor_lrp_score(heat, tumor, brain).numpy()
    yield Evidence(
        "map follows cause",
        "over slices: relevance in the tumor with the effect of erasing it",
        rank_correlation_of(score, effect),
        rank_correlation_of((tumor > 0).flatten(1).sum(1).numpy(), effect),
        "the tumor's size with that effect",
        (
            "the map tells more of the effect than the size of the tumor does",
            "the map tells of the effect no more than the tumor's size",
            "the map tells less of the effect than the tumor's size",
        ),
        who,
    )
    yield Evidence(
        "map follows cause",
        "within slices: relevance of blocks with the effect of erasing each",
        mean_of(blockwise(model, x, heat, brain)),
        0.0,
        "a map drawn at random",
        (
            "blocks with more relevance matter more to the answer",
            "relevance of blocks says nothing sure of their effect",
            "blocks with more relevance matter less to the answer",
        ),
        who,
    )


def blockwise(model: nn.Module, x: Tensor, heat: Tensor, brain: Tensor) -> np.ndarray:
    """Spearman's correlation of relevance and effect over the blocks of each slice."""
    logits = logits_of(model, x)
    said = logits.argmax(1)
    whole, inside = margin(logits, said), brain > 0
    fill, effect, mass, real = imputer("mean"), [], [], []
    height, width = x.shape[2:]
    rows = torch.arange(height) * CELLS // height
    columns = torch.arange(width) * CELLS // width
    for cell in range(CELLS**2):
        block = (rows[:, None] == cell // CELLS) & (columns == cell % CELLS)
        region = block & inside
        there = region.flatten(1).any(1)
        drop = torch.zeros(len(x))
        if there.any():
            changed = fill(x[there], region[there], inside[there])
            drop[there] = whole[there] - margin(logits_of(model, changed), said[there])
        effect.append(drop)
        mass.append((heat.sum(1) * region).flatten(1).sum(1))
        real.append(there)
    e, m, r = (torch.stack(each, 1).numpy() for each in (effect, mass, real))
    return np.array([_spearman(m[i, r[i]], e[i, r[i]]) for i in range(len(x))])


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def by_explainers(
    model: nn.Module,
    x: Tensor,
    heat: Tensor,
    tumor: Tensor,
    brain: Tensor,
    who: np.ndarray,
    name: Any,
    others: Sequence[Any],
) -> Iterator[Evidence]:
    """The tumor score by the explainer that was trained with, and by others."""
    chance = mean_of(chance_level(tumor, brain).numpy())
    for each in (name, *others):
        found = heat if each is name else maps_of(model, x, each)
        yield Evidence(
            "explainers",
            f"score by {each}",
            mean_of(tumor_lrp_score(found, tumor, brain).numpy()),
            chance,
            "the tumor's share of the brain",
            (
                f"{each} points to the tumor",
                f"{each} points to the tumor no more than by chance",
                f"{each} points away from the tumor",
            ),
            who,
        )


def by_sanity(
    model: nn.Module, x: Tensor, who: np.ndarray, name: Any, seed: int
) -> Iterator[Evidence]:
    """Maps after the weights of all layers were thrown away (``adebayo2018``)."""
    some = _some(len(x))
    x, who = x[some], who[some]
    explain = explainer(model, name)
    *_, last = parameter_randomization(explain, x, p_said(model, x), seed=seed).values()
    yield Evidence(
        "sanity",
        "rank correlation of maps before and after all weights are thrown away",
        mean_of(last.detach().numpy()),
        0.0,
        "maps of different networks",
        (
            "part of the map is the image's, whatever the weights",
            "nothing of the map outlives the weights",
            "the map turns round without the weights",
        ),
        who,
    )


def by_shaking(
    model: nn.Module,
    x: Tensor,
    who: np.ndarray,
    name: Any,
    seed: int,
    radius: float = 0.02,
    draws: int = 3,
) -> Iterator[Evidence]:
    """Maps, and answers, under noise that nobody sees (``yeh2019``)."""
    some = _some(len(x))
    x, who = x[some], who[some]
    said = p_said(model, x)
    maps = max_sensitivity(
        explainer(model, name), x, said, radius=radius, draws=draws, seed=seed
    )
    yield Evidence(
        "stability",
        "largest change of the map under small noise, in lengths of the map",
        mean_of(maps.detach().numpy()),
        math.sqrt(2),
        "two maps of nothing but noise",
        (
            "the map does not survive small noise",
            "the map changes as much as noise would",
            "the map changes less than noise would",
        ),
        who,
    )
    generator = torch.Generator().manual_seed(seed)
    noise = (torch.rand(x.shape, generator=generator) for _ in range(draws))
    turned = [p_said(model, x + radius * (2 * n - 1)) != said for n in noise]
    yield Evidence(
        "stability",
        "answers that turn under the same noise",
        mean_of(torch.stack(turned).float().mean(0).numpy()),
        0.5,
        "a coin",
        (
            "answers do not survive small noise",
            "answers turn as a coin would",
            "answers turn less often than a coin",
        ),
        who,
    )


def _some(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(SOME, count)).astype(int))
