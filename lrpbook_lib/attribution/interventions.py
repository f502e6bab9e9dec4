"""Take a region away and see what the answer makes of it: what a network uses.

The effect of erasing the tumor says little alone, for erasing anything changes an
image. Beside it stand its mirror image and as much brain elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from .imputation import Imputer, imputer
from .maps import evaluation_form

Output = Literal["probability", "logit"]


@torch.no_grad()
def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """What the network in evaluation form answers, ``(B, classes)``.

    In parts that fit the cache of a CPU, or the memory of a GPU.
    """
    room = 2**18 if x.device.type == "cpu" else 2**23
    if x.ndim == 4 and x.device.type == "cpu":
        x = x.contiguous(memory_format=torch.channels_last)  # faster there
    with evaluation_form(model):
        parts = x.split(max(1, room // x.shape[1:].numel()))
        return torch.cat([model(part) for part in parts])


def chosen(logits: Tensor, target: Tensor | int | None) -> Tensor:
    """Class indices ``(B,)``: those given, or the predicted ones."""
    if target is None:
        return logits.argmax(1)
    if isinstance(target, Tensor) and target.is_floating_point():
        raise TypeError("target weighs outputs; a measure follows one class: its index")
    return torch.as_tensor(target, device=logits.device).long().expand(len(logits))


def answer_for(
    logits: Tensor, target: Tensor, output: Output = "probability"
) -> Tensor:
    """Probability or logit ``(B,)`` of the class indices ``(B,)``."""
    if output not in ("probability", "logit"):
        raise ValueError(f"output is {output!r}; it takes 'probability' or 'logit'.")
    said = logits.softmax(1) if output == "probability" else logits
    return said.gather(1, target[:, None])[:, 0]


def effects_of_erasing(
    model: nn.Module,
    x: Tensor,
    regions: Mapping[str, Tensor],
    target: Tensor | int | None = None,
    *,
    fill: str | Imputer = "mean",
    source: Tensor | None = None,
    output: Output = "probability",
) -> dict[str, Tensor]:
    r"""How much of the answer goes with each region, :math:`f_t(x) - f_t(\tilde x)`.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    regions : dict of str to Tensor of shape ``(B, *space)``
        What to erase, each by itself, such as :func:`control_regions`.
    target : Tensor of shape (B,) or int, optional
        Default the class predicted for the whole image.
    fill : str or Imputer
        What takes its place, see :func:`~lrpbook_lib.attribution.imputer`.
    source : Tensor of shape ``(B, *space)``, optional
        Where the filling may learn from, such as the brain.
    output : {"probability", "logit"}

    Returns
    -------
    dict of str to Tensor of shape (B,)
        Positive where the region spoke for the class; zero where it is empty.

    Examples
    --------
    >>> regions = control_regions(tumor, brain)
    >>> effects = effects_of_erasing(model, x, regions, label, source=brain)
    >>> use = effects["region"] - effects["elsewhere"]
    """
    logits, replace = logits_of(model, x), imputer(fill)
    target = chosen(logits, target)
    whole = answer_for(logits, target, output)
    erased = {name: replace(x, each, source) for name, each in regions.items()}
    return {
        name: whole - answer_for(logits_of(model, each), target, output)
        for name, each in erased.items()
    }


def control_regions(
    region: Tensor, brain: Tensor, *, axis: int = -1, seed: int = 0
) -> dict[str, Tensor]:
    """A region, its mirror image, and as much brain elsewhere: the level by chance.

    Parameters
    ----------
    region, brain : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
    axis
        See :func:`mirror`.
    seed
        See :func:`elsewhere`.

    Returns
    -------
    dict of str to Tensor of shape ``(B, *space)``, bool
        ``"region"``, ``"mirror"``, ``"elsewhere"``.
    """
    region, brain = (
        each[:, 0] > 0 if each.ndim > 3 and each.shape[1] == 1 else each > 0
        for each in (region, brain)
    )
    return {
        "region": region,
        "mirror": mirror(region, brain, axis),
        "elsewhere": elsewhere(region, brain, seed),
    }


def mirror(region: Tensor, brain: Tensor, axis: int = -1) -> Tensor:
    """A region on the other side of the brain, without the region itself.

    Parameters
    ----------
    region, brain : Tensor of shape ``(B, *space)``
        The midline runs through the center of mass of each brain.
    axis : int
        From left to right; slices of this library are ``(H, W)``, left to right last.

    Returns
    -------
    Tensor of shape ``(B, *space)``, bool
        Inside the brain; empty where the region is its own mirror image.
    """
    inside, brain = (each.movedim(axis, 1) > 0 for each in (region, brain))
    place = torch.arange(inside.shape[1], device=inside.device)
    mass = brain.flatten(2).sum(2)  # (B, L)
    middle = (mass * place).sum(1) / mass.sum(1).clamp(min=1)
    other = (2 * middle).round().long()[:, None] - place  # (B, L)
    exists = (other >= 0) & (other < len(place))
    shape = (*other.shape, *[1] * (inside.ndim - 2))
    other = other.clamp(0, len(place) - 1).reshape(shape).expand_as(inside)
    turned = inside.gather(1, other) & exists.reshape(shape)
    return (turned & brain & ~inside).movedim(1, axis)


def elsewhere(region: Tensor, brain: Tensor, seed: int = 0) -> Tensor:
    """As many pixels of the brain, together, somewhere outside of the region.

    Parameters
    ----------
    region, brain : Tensor of shape ``(B, *space)``
    seed : int
        Decides where: the pixels closest to a random one.

    Returns
    -------
    Tensor of shape ``(B, *space)``, bool
        Smaller than the region only where the rest of the brain is.
    """
    inside = (region > 0).flatten(1)
    free = (brain > 0).flatten(1) & ~inside
    draw = torch.Generator().manual_seed(seed)
    lot = torch.rand(free.shape, generator=draw).to(free.device)
    center = lot.masked_fill(~free, -1).argmax(1)
    axes = [torch.arange(n, device=free.device) for n in region.shape[1:]]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2).float()
    far = (place[None] - place[center][:, None]).square().sum(2)  # (B, P)
    order = far.masked_fill(~free, float("inf")).argsort(dim=1, stable=True)
    rank = order.argsort(1)
    return ((rank < inside.sum(1, keepdim=True)) & free).reshape(region.shape)


def choose_donors(
    region: Tensor, healthy: Tensor, allowed: Tensor, seed: int = 0
) -> Tensor:
    """For each image, which of N others is healthy where its own region lies.

    Parameters
    ----------
    region : Tensor of shape ``(B, *space)``
    healthy : Tensor of shape ``(N, *space)``
        Where each possible donor has healthy tissue.
    allowed : Tensor of shape (B, N), bool
        Whom each image may have, such as other patients of the same site.
    seed : int
        Decides among those that cover the region equally well.

    Returns
    -------
    Tensor of shape (B,)
        Positions among the donors.

    Examples
    --------
    >>> donor = choose_donors(tumor, brain & (tumor == 0), patient[:, None] != patient)
    >>> erased = imputer("donor", images=x[donor])(x, tumor)
    """
    if not bool(allowed.any(1).all()):
        raise ValueError("an image has no donor: allow at least one for each.")
    covered = (region.flatten(1) > 0).float() @ (healthy.flatten(1) > 0).float().T
    draw = torch.Generator().manual_seed(seed)
    covered = covered + torch.rand(covered.shape, generator=draw).to(covered) / 2
    return covered.masked_fill(~allowed.to(covered.device), -1).argmax(1)
