"""What a map says of the answer, against what the answer does.

A random map, :func:`~lrpbook_lib.attribution.random_map`, gives the level by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from .flipping import tiles
from .imputation import Imputer, imputer
from .interventions import Output, answer_for, chosen, logits_of


def faithfulness_correlation(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: Tensor | int | None = None,
    *,
    subsets: int = 100,
    share: float = 0.2,
    tile: int = 4,
    fill: str | Imputer = "mean",
    output: Output = "probability",
    seed: int = 0,
) -> Tensor:
    r"""Whether random sets of pixels matter as much as the map says.

    .. math:: \operatorname{corr}_S \Big( \sum_{i \in S} R_i,\;
        f(x) - f(x_{[x_S = \tilde x_S]}) \Big)

    Bhatt et al. 2020 (``bhatt2020``), with tiles for features. By chance zero.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    relevance : Tensor of shape ``(B, C, *space)`` or ``(B, 1, *space)``
    target : Tensor of shape (B,) or int, optional
        Default the predicted class.
    subsets : int
        How many sets, the same for every image.
    share : float
        Of the tiles, in a set.
    tile : int
        Edge in pixels.
    fill : str or Imputer
    output : {"probability", "logit"}
    seed : int

    Returns
    -------
    Tensor of shape (B,)
        From -1 to 1; zero where map or answer is the same for all sets.
    """
    number, count = tiles(x, tile)
    size = max(1, round(share * count))

    def draw(generator: torch.Generator) -> Tensor:
        lot = torch.randperm(count, generator=generator).to(x.device)
        return lot.argsort()[number] < size

    said, lost = _said_and_lost(
        model, x, relevance, target, fill, output, _drawn(draw, subsets, seed)
    )
    return correlation(said, lost)


def infidelity(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: Tensor | int | None = None,
    *,
    contributions: bool = True,
    scaled: bool = False,
    draws: int = 50,
    edge: int = 8,
    fill: str | Imputer = "mean",
    output: Output = "logit",
    seed: int = 0,
) -> Tensor:
    r"""How far the map is from telling what taking squares away does.

    .. math:: \mathbb{E}_I \big[ (I^\top \Phi - (f(x) - f(x - I)))^2 \big]

    Yeh et al. 2019 (``yeh2019``), square removal: I is the image minus the filling in
    a random square, zero elsewhere. Zero is best; a map of zeros has the mean squared
    change of the answer.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    relevance : Tensor of shape ``(B, C, *space)`` or ``(B, 1, *space)``
    target : Tensor of shape (B,) or int, optional
        Default the predicted class.
    contributions : bool
        Whether the map has the input in it (LRP, gradient times input, occlusion): then
        :math:`I^\top \Phi` is the sum of the map over the square. False for
        sensitivities such as the gradient.
    scaled : bool
        Multiply each map by the factor that suits it best, as for explainers whose
        unit is not that of the answer.
    draws : int
        How many squares, the same for every image.
    edge : int
        Of the squares, in pixels.
    fill : str or Imputer
    output : {"probability", "logit"}
    seed : int

    Returns
    -------
    Tensor of shape (B,)
    """

    def draw(generator: torch.Generator) -> Tensor:
        inside = torch.ones((), dtype=torch.bool, device=x.device)
        for size in x.shape[2:]:
            last = max(size - edge, 0)
            start = int(torch.randint(last + 1, (), generator=generator))
            place = torch.arange(size, device=x.device)
            inside = inside[..., None] & (place >= start) & (place < start + edge)
        return inside

    said, lost = _said_and_lost(
        model,
        x,
        relevance,
        target,
        fill,
        output,
        _drawn(draw, draws, seed),
        contributions,
    )
    if scaled:
        square = said.square().sum(1, keepdim=True)
        factor = (said * lost).sum(1, keepdim=True) / square
        said = torch.where(square > 0, factor * said, 0.0)
    return (said - lost).square().mean(1)


def _drawn(
    draw: Callable[[torch.Generator], Tensor], draws: int, seed: int
) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (draw(generator) for _ in range(draws))


def _said_and_lost(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: Tensor | int | None,
    fill: str | Imputer,
    output: Output,
    regions: Iterator[Tensor],
    contributions: bool = True,
) -> tuple[Tensor, Tensor]:
    """For each region ``(*space)``, what the map says goes with it, and what does."""
    logits, replace = logits_of(model, x), imputer(fill)
    target = chosen(logits, target)
    whole = answer_for(logits, target, output)
    said, lost = [], []
    for region in regions:
        changed = replace(x, region.expand(len(x), *region.shape))
        rest = answer_for(logits_of(model, changed), target, output)
        part = relevance.detach() * (region if contributions else x - changed)
        said.append(part.flatten(1).sum(1))
        lost.append(whole - rest)
    return torch.stack(said, 1), torch.stack(lost, 1)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's, over the last axis; zero where either does not vary."""
    a, b = (each - each.mean(-1, keepdim=True) for each in (a, b))
    norm = a.norm(dim=-1) * b.norm(dim=-1)
    return torch.where(norm > 0, (a * b).sum(-1) / norm.where(norm > 0, 1.0), 0.0)
