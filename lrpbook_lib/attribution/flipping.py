"""Take pixels away in the order of a map, and watch the answer: region flipping.

A map is faithful where taking its first pixels breaks the answer early, and taking its
last ones late.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .captum_methods import squares
from .imputation import Imputer, imputer
from .interventions import Output, answer_for, chosen, logits_of


@dataclass(frozen=True, eq=False)
class Flipped:
    r"""Answers while regions are replaced, most and least relevant first.

    Attributes
    ----------
    morf, lerf : Tensor of shape (B, steps + 1)
        From the whole image, to the one of which everything is replaced.
    """

    morf: Tensor
    lerf: Tensor

    @property
    def abpc(self) -> Tensor:
        r"""Area between the curves, ``(B,)``: by chance zero, the higher the better.

        .. math:: \frac{1}{L + 1} \sum_{k=0}^{L} f(x^k_{LeRF}) - f(x^k_{MoRF})

        Symmetric relevance gain of Blücher et al. 2024 (``bluecher2024``); ABPC of
        Samek et al. 2017 (``samek2017``).
        """
        return (self.lerf - self.morf).mean(1)

    @property
    def aopc(self) -> Tensor:
        r"""Area over the curve, most relevant first, ``(B,)``.

        .. math:: \frac{1}{L + 1} \sum_{k=0}^{L} f(x^0) - f(x^k_{MoRF})

        Samek et al. 2017 (``samek2017``). The level is that of a random map.
        """
        return (self.morf[:, :1] - self.morf).mean(1)

    @property
    def deletion(self) -> Tensor:
        """Area under the deletion curve, ``(B,)``: the lower the better.

        By the trapezoid rule over the share of pixels taken, 0 to 1. Petsiuk et al.
        2018 (``petsiuk2018``).
        """
        return torch.trapezoid(self.morf, dx=1 / (self.morf.shape[1] - 1))

    @property
    def insertion(self) -> Tensor:
        """Area under the insertion curve, ``(B,)``: the higher the better.

        Putting the most relevant pixels back first is taking the least relevant ones
        away, read backwards: the curve is ``lerf.flip(1)`` (``petsiuk2018``).
        """
        return torch.trapezoid(self.lerf, dx=1 / (self.lerf.shape[1] - 1))


def flip_regions(
    model: nn.Module,
    x: Tensor,
    relevance: Tensor,
    target: Tensor | int | None = None,
    *,
    steps: int = 20,
    tile: int = 4,
    fill: str | Imputer = "mean",
    source: Tensor | None = None,
    output: Output = "probability",
    seed: int = 0,
) -> Flipped:
    """Replace tiles of images in the order of a map, in equal steps.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    relevance : Tensor of shape ``(B, C, *space)`` or ``(B, 1, *space)``
        Summed over channels, then averaged over each tile. ``random_map(x)`` gives the
        level by chance.
    target : Tensor of shape (B,) or int, optional
        Default the class predicted for the whole image.
    steps : int
        After step k of L, k/L of the tiles are gone, rounded up.
    tile : int
        Edge in pixels; 1 for single pixels.
    fill : str or Imputer
        What takes their place, see :func:`~lrpbook_lib.attribution.imputer`.
    source : Tensor of shape ``(B, *space)``, optional
        Where the filling may learn from, such as the brain.
    output : {"probability", "logit"}
    seed : int
        Decides the order of tiles that tie, such as the zeros of Grad-CAM.
    """
    logits = logits_of(model, x)
    target = chosen(logits, target)
    rank, count = tile_ranks(relevance, tile, seed)
    replace = imputer(fill)

    def after(gone: Tensor) -> Tensor:
        changed = logits_of(model, replace(x, gone, source))
        return answer_for(changed, target, output)

    first, last = answer_for(logits, target, output), after(rank >= 0)
    morf, lerf = [first], [first]
    for k in range(1, steps):
        gone = -(-k * count // steps)
        morf.append(after(rank < gone))
        lerf.append(after(rank >= count - gone))
    return Flipped(torch.stack([*morf, last], 1), torch.stack([*lerf, last], 1))


def tile_ranks(relevance: Tensor, tile: int, seed: int = 0) -> tuple[Tensor, int]:
    """For each pixel, the place of its tile, the most relevant first; tiles an image.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    tile : int
        Edge in pixels; tiles at the far borders may be cut off.
    seed : int
        Decides ties, alike in every image.

    Returns
    -------
    rank : Tensor of shape ``(B, *space)``
        From zero.
    count : int
    """
    number, count = tiles(relevance, tile)
    heat = relevance.detach().sum(1).flatten(1)  # (B, P)
    index = number.flatten().expand_as(heat)
    total = heat.new_zeros(len(heat), count).scatter_add_(1, index, heat)
    total /= number.flatten().bincount(minlength=count)
    draw = torch.Generator().manual_seed(seed)
    lot = torch.randperm(count, generator=draw).to(heat.device)
    order = lot[total[:, lot].argsort(dim=1, descending=True, stable=True)]
    return order.argsort(1)[:, number], count


def tiles(x: Tensor, edge: int) -> tuple[Tensor, int]:
    """The number of each pixel's tile ``(*space)``, from zero, and how many there are.

    Parameters
    ----------
    x : Tensor of shape ``(B, C, *space)``
    edge : int
    """
    number = squares(x, edge)[0, 0]
    return number, int(number.max()) + 1


def random_map(x: Tensor, seed: int = 0) -> Tensor:
    """A map that knows nothing: uniform noise ``(B, 1, *space)`` from 0 to 1.

    What every measure of a map is to be compared with.
    """
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(x[:, :1].shape, generator=draw).to(x)
