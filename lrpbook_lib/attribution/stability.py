"""Whether maps stay when they should, and change when they should.

They should stay under small changes of the image, and change with the weights of the
network: a map that does not is a picture of the image, not of the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .interventions import chosen


def agreement(
    maps: Sequence[Tensor],
    others: Sequence[Tensor] | None = None,
    absolute: bool = False,
) -> Tensor:
    r"""Rank correlation of every map with every other, image by image.

    Spearman's: Pearson's correlation of the ranks of pixels, equal values sharing the
    mean of their ranks. By chance zero.

    Parameters
    ----------
    maps, others : sequence of K and L tensors of shape ``(B, C, *space)``
        Of the same images, summed over channels; ``others`` default to ``maps``.
    absolute : bool
        Rank how strong relevance is, whatever its sign.

    Returns
    -------
    Tensor of shape (B, K, L)
        From -1 to 1; zero for a map that is the same everywhere.
    """
    rows = torch.stack([_standard_ranks(each, absolute) for each in maps], 1)
    columns = (
        rows
        if others is None
        else torch.stack([_standard_ranks(each, absolute) for each in others], 1)
    )
    return torch.einsum("bkp,blp->bkl", rows, columns)


def rank_correlation(first: Tensor, second: Tensor, absolute: bool = False) -> Tensor:
    """Spearman's correlation of two maps of each image ``(B,)``: :func:`agreement`."""
    return agreement([first], [second], absolute)[:, 0, 0]


def _standard_ranks(relevance: Tensor, absolute: bool) -> Tensor:
    """Ranks ``(B, P)`` with mean 0 and length 1: their product is the correlation."""
    heat = relevance.detach().sum(1).flatten(1)
    heat = (heat.abs() if absolute else heat).contiguous()
    ordered = heat.sort(1).values
    below = torch.searchsorted(ordered, heat)
    through = torch.searchsorted(ordered, heat, right=True)
    rank = (below + through - heat.shape[1]).float()  # twice the rank, mean zero
    return rank / rank.norm(dim=1, keepdim=True).clamp(min=1e-12)


class Smoothed(nn.Module):
    r"""The mean of an explainer's maps over noisy copies of the image.

    .. math:: \frac{1}{n} \sum_k R(x + \epsilon_k), \qquad
        \epsilon_k \sim \mathcal{N}(0, (\text{noise} \cdot (\max x - \min x))^2)

    SmoothGrad of Smilkov et al. 2017 (``smilkov2017``), for any explainer. The logits
    and the class explained are those of the image without noise.

    Parameters
    ----------
    explainer : nn.Module
    draws : int
    noise : float
        As a share of the range of each image.
    seed : int
    """

    def __init__(
        self, explainer: nn.Module, draws: int = 20, noise: float = 0.1, seed: int = 0
    ) -> None:
        super().__init__()
        self.explainer = explainer
        self.draws, self.noise, self.seed = draws, noise, seed

    @property
    def model(self) -> Any:
        """The explainer's model."""
        return self.explainer.model

    def forward(
        self, x: Tensor, target: Tensor | int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits and the mean map, as every explainer."""
        logits = self.model(x)
        target = chosen(logits.detach(), target)
        low, high = x.flatten(1).aminmax(dim=1)
        scale = (self.noise * (high - low)).reshape(-1, *[1] * (x.ndim - 1))
        maps = (
            self.explainer(x + scale * noise, target)[1]
            for noise in _noise(x, self.draws, self.seed, torch.randn)
        )
        return logits, sum(maps) / self.draws  # type: ignore[return-value]


def max_sensitivity(
    explainer: nn.Module,
    x: Tensor,
    target: Tensor | int | None = None,
    *,
    radius: float = 0.02,
    draws: int = 10,
    seed: int = 0,
) -> Tensor:
    r"""The largest change of the map in a small neighborhood of the image.

    .. math:: \max_{\lVert \delta \rVert_\infty \le r}
        \frac{\lVert R(x + \delta) - R(x) \rVert}{\lVert R(x) \rVert}

    Yeh et al. 2019 (``yeh2019``), over random draws. Two independent maps of noise
    have :math:`\sqrt 2`.

    Parameters
    ----------
    explainer : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,) or int, optional
        Default the class predicted for ``x``.
    radius : float
        In the unit of ``x``.
    draws : int
    seed : int

    Returns
    -------
    Tensor of shape (B,)
    """
    with torch.no_grad():
        logits, still = explainer(x, target)
        target, worst = chosen(logits, target), logits.new_zeros(len(x))
        norm = still.flatten(1).norm(dim=1)
        for noise in _noise(x, draws, seed, torch.rand):
            moved = explainer(x + radius * (2 * noise - 1), target)[1]
            change = (moved - still).flatten(1).norm(dim=1) / norm.clamp(min=1e-12)
            worst = torch.maximum(worst, change)
    return worst


def _noise(x: Tensor, draws: int, seed: int, draw: Any) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (draw(x.shape, generator=generator).to(x) for _ in range(draws))
