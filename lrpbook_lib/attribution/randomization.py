"""Sanity: does a map change when the weights of its network are thrown away?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .interventions import chosen
from .stability import rank_correlation

Order = Literal["top_down", "bottom_up", "each"]


def parameter_randomization(
    explainer: nn.Module,
    x: Tensor,
    target: Tensor | int | None = None,
    *,
    order: Order = "top_down",
    absolute: bool = True,
    seed: int = 0,
) -> dict[str, Tensor]:
    r"""Rank correlation of maps before and after layers lose their weights (MPRT).

    Adebayo et al. 2018 (``adebayo2018``): a map of the network, not of the image, falls
    to zero. Rules of the z-plus kind are known not to (Sixt et al. 2020,
    ``sixt2020``). The smooth form of Hedström et al. 2023 (``hedstroem2023``) is this
    of ``Smoothed(explainer)``, from the bottom up.

    Parameters
    ----------
    explainer : nn.Module
        With the model as ``explainer.model``; both stay as they are.
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,) or int, optional
        Default the class predicted before.
    order : {"top_down", "bottom_up", "each"}
        One layer after the other from the output, from the input, or each alone.
    absolute : bool
        Compare how strong relevance is, whatever its sign. Maps with the image as a
        factor then keep more of it than with the sign.
    seed : int

    Returns
    -------
    dict of str to Tensor of shape (B,)
        By the name of the layer that lost its weights last.
    """
    with torch.no_grad():
        logits, before = explainer(x, target)
        target = chosen(logits, target)
        return {
            name: rank_correlation(before, changed(x, target)[1], absolute)
            for name, changed in randomized(explainer, order, seed)
        }


def efficient_randomization(
    explainer: nn.Module,
    x: Tensor,
    target: Tensor | int | None = None,
    *,
    bins: int = 100,
    seed: int = 0,
) -> Tensor:
    r"""Relative rise of the map's entropy when all weights are thrown away (eMPRT).

    .. math:: \frac{H(\hat R) - H(R)}{H(R)}

    with H the entropy of the histogram of a map's values. Hedström et al. 2023
    (``hedstroem2023``): maps of a random network should be more complex. A map that
    ignores the network has zero.

    Parameters
    ----------
    explainer : nn.Module
        With the model as ``explainer.model``; both stay as they are.
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,) or int, optional
        Default the class predicted before.
    bins : int
    seed : int

    Returns
    -------
    Tensor of shape (B,)
        Zero where the map was the same everywhere.
    """
    with torch.no_grad():
        logits, before = explainer(x, target)
        *_, (_, changed) = randomized(explainer, "top_down", seed)
        after = changed(x, chosen(logits, target))[1]
    old, new = histogram_entropy(before, bins), histogram_entropy(after, bins)
    return torch.where(old > 0, (new - old) / old.where(old > 0, 1.0), 0.0)


def histogram_entropy(relevance: Tensor, bins: int = 100) -> Tensor:
    """Entropy ``(B,)``, in nats, of the values of maps in bins of equal width.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
        Summed over channels.
    bins : int
        Between each map's smallest and largest value.
    """
    heat = relevance.sum(1).flatten(1)
    low = heat.amin(1, keepdim=True)
    width = heat.amax(1, keepdim=True) - low
    place = (heat - low) / width.where(width > 0, 1.0) * bins
    place = place.long().clamp(max=bins - 1)
    count = heat.new_zeros(len(heat), bins)
    count.scatter_add_(1, place, torch.ones_like(heat))
    return torch.special.entr(count / heat.shape[1]).sum(1)


def randomized(
    explainer: nn.Module, order: Order = "top_down", seed: int = 0
) -> Iterator[tuple[str, Any]]:
    """Copies of an explainer whose model loses its weights, layer by layer.

    Parameters
    ----------
    explainer : nn.Module
    order : {"top_down", "bottom_up", "each"}
    seed : int

    Yields
    ------
    name : str
        The layer that lost its weights last.
    explainer : nn.Module
        The same object at every step, but for ``"each"``.
    """
    if order not in ("top_down", "bottom_up", "each"):
        raise ValueError(
            f"order is {order!r}; it takes 'top_down', 'bottom_up' or 'each'."
        )
    changed: Any = copy.deepcopy(explainer)
    # A parametrized weight (parametrizations.weight.original) belongs to its layer.
    owners = (n.rpartition(".")[0] for n, _ in changed.model.named_parameters())
    names = list(dict.fromkeys(n.partition(".parametrizations")[0] for n in owners))
    for name in names[::-1] if order == "top_down" else names:
        if order == "each":
            changed = copy.deepcopy(explainer)
        forget(changed.model.get_submodule(name), seed + names.index(name))
        yield name, changed


@torch.no_grad()
def forget(layer: nn.Module, seed: int = 0) -> None:
    """Give a layer the weights it might have started with, in place.

    Drawn anew where the layer can (``reset_parameters``), else its own in random order;
    with the same seed the same on every device. Torch's random state stays.

    Parameters
    ----------
    layer : nn.Module
    seed : int
    """
    fresh = copy.deepcopy(layer).cpu()
    before = {name: p.clone() for name, p in fresh.named_parameters()}
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(seed)
        if callable(reset := getattr(fresh, "reset_parameters", None)):
            reset()
        for name, p in fresh.named_parameters():
            if torch.equal(p, before[name]):
                p.copy_(p.flatten()[torch.randperm(p.numel())].reshape(p.shape))
    layer.load_state_dict(fresh.state_dict())
