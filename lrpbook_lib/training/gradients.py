"""The gradient of a guided loss in two parts, of which one must not drown the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def backward(
    total: Tensor,
    held: Tensor | None,
    parameters: Sequence[nn.Parameter],
    limit: float | None,
    fabric: Any,
) -> tuple[Tensor, Tensor] | None:
    r"""Put the gradient of a loss into ``.grad``, averaged over processes.

    Let :math:`g_C` be the gradient of the loss with its map held fixed, and :math:`g_R`
    what reaches the weights through the map. The gradient is

    .. math:: g = g_C + \min\left(1, \ell \frac{\|g_C\|}{\|g_R\|}\right) g_R

    With :math:`\ell \le 1` it never points uphill for the first part, for
    :math:`g \cdot g_C \ge (1 - \ell) \|g_C\|^2`. Relevance is a quotient: where few
    of its positive parts are left, :math:`g_R` is a hundred times :math:`g_C`, and to
    clip their sum is to stop learning the classes.

    Parameters
    ----------
    total : Tensor
        The loss.
    held : Tensor or None
        The loss with its map held fixed; None where there is no map, or where nothing
        is to be known of the parts (only without a limit).
    parameters : sequence of nn.Parameter
    limit : float or None
        The :math:`\ell` above; None for the gradient as it is.
    fabric : Fabric

    Returns
    -------
    tuple of two Tensor, or None
        Share of the second part, :math:`\|g_R\| / (\|g_R\| + \|g_C\|)`, before and
        after the limit.
    """

    def gradient(value: Tensor, keep: bool) -> Tensor:
        found = torch.autograd.grad(
            value, parameters, retain_graph=keep, materialize_grads=True
        )
        flat = torch.cat([g.flatten() for g in found])
        if fabric.world_size > 1:
            flat = fabric.all_reduce(flat, reduce_op="mean")
        return flat

    shares = None
    if held is None:
        whole = gradient(total, keep=False)
    else:
        fixed = gradient(held, keep=True)
        through = gradient(total, keep=False) - fixed
        small, large = fixed.norm(), through.norm()
        factor = torch.ones_like(small)
        if limit is not None:
            # Where cross entropy has no gradient left, relevance may not go on alone.
            factor = (limit * small / large.clamp(min=1e-30)).clamp(max=1)
        whole = fixed + factor * through
        shares = _share(small, large), _share(small, factor * large)
    pieces = whole.split([p.numel() for p in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.grad = piece.view_as(parameter)
    return shares


def _share(fixed: Tensor, through: Tensor) -> Tensor:
    both = fixed + through
    return torch.where(both > 0, through / both.clamp(min=1e-30), 0.0)
