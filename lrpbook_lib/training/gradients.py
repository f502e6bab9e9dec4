"""The gradient of a guided loss in two parts, of which one must not drown the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

Outputs = Sequence[Tensor | None]


def cut(made: Outputs, guided: bool = True) -> tuple[Tensor, Tensor | None]:
    """Logits and map as leaves, of which the loss is then computed, and only once.

    Parameters
    ----------
    made : sequence of Tensor or None
        Logits and map as the network made them, with their graph.
    guided : bool
        Whether the loss depends on the map: where its strength is zero, it does not.
    """
    logits, relevance = made
    assert logits is not None
    if relevance is not None:
        if not relevance.requires_grad:
            raise ValueError(
                "The map that the loss wants has no graph, as those of captum: no loss "
                "can be trained through it. It can judge: TrainSettings(judge=...)."
            )
        relevance = relevance.detach().requires_grad_(guided)
    return logits.detach().requires_grad_(), relevance


def gradients(
    total: Tensor,
    leaves: Outputs,
    made: Outputs,
    parameters: Sequence[nn.Parameter],
    *,
    apart: bool = True,
) -> list[Tensor]:
    r"""The gradient of a loss, flat: whole, or in its two parts.

    Let :math:`L(z, R)` be the loss of logits and map. The gradient of the loss with its
    map held fixed, and what reaches the weights :math:`\theta` through the map, are

    .. math:: g_C = \frac{\partial z}{\partial \theta}^T \frac{\partial L}{\partial z},
        \qquad
        g_R = \frac{\partial R}{\partial \theta}^T \frac{\partial L}{\partial R}

    and their sum is the gradient of the loss. Both are sums over samples: those of the
    pieces of a batch add up to those of the batch.

    Parameters
    ----------
    total : Tensor
        The loss, computed from ``leaves``.
    leaves, made : sequence of Tensor or None
        Logits and map: see :func:`cut`.
    parameters : sequence of nn.Parameter
    apart : bool
        Whether to tell the parts apart, which a limit needs: one more pass back.
    """
    live = [i for i, t in enumerate(leaves) if t is not None and t.requires_grad]
    by = torch.autograd.grad(total, [leaves[i] for i in live], allow_unused=True)  # type: ignore[arg-type]
    reached = [(made[i], g) for i, g in zip(live, by, strict=True) if g is not None]

    def gradient(through: Sequence[Any], keep: bool = False) -> Tensor:
        outputs, weights = zip(*through, strict=True)
        found = torch.autograd.grad(
            outputs, parameters, weights, retain_graph=keep, materialize_grads=True
        )
        return torch.cat([g.flatten() for g in found])

    if not apart or leaves[1] is None:
        return [gradient(reached)]
    fixed = gradient(reached[:1], keep=len(reached) > 1)
    return [fixed, gradient(reached[1:]) if reached[1:] else torch.zeros_like(fixed)]


def descend(
    parts: Sequence[Tensor],
    parameters: Sequence[nn.Parameter],
    fabric: Any,
    *,
    limit: float | None = None,
    clip: float | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    r"""Put a gradient into ``.grad``, averaged over processes, its second part limited.

    .. math:: g = g_C + \min\left(1, \ell \frac{\|g_C\|}{\|g_R\|}\right) g_R

    With :math:`\ell \le 1` it never points uphill for the first part, for
    :math:`g \cdot g_C \ge (1 - \ell) \|g_C\|^2`. Relevance is a quotient: where few
    of its positive parts are left, :math:`g_R` is a hundred times :math:`g_C`, and to
    clip their sum is to stop learning the classes.

    Parameters
    ----------
    parts : sequence of Tensor
        From :func:`gradients`.
    parameters : sequence of nn.Parameter
    fabric : Fabric
    limit : float, optional
        The :math:`\ell` above; None for the gradient as it is.
    clip : float, optional
        Largest norm of the gradient.

    Returns
    -------
    norm : Tensor
        Before it was clipped.
    shares : tuple of two Tensor, or None
        Share of the second part, :math:`\|g_R\| / (\|g_R\| + \|g_C\|)`, before and
        after the limit; None without a map or where they were not told apart.
    """
    if fabric.world_size > 1:
        parts = [fabric.all_reduce(part, reduce_op="mean") for part in parts]
    whole, shares = parts[0], None
    if len(parts) > 1:
        fixed, through = parts
        small, large = fixed.norm(), through.norm()
        factor = torch.ones_like(small)
        if limit is not None:
            # Where cross entropy has no gradient left, relevance may not go on alone.
            factor = (limit * small / large.clamp(min=1e-30)).clamp(max=1)
        whole = fixed + factor * through
        shares = _share(small, large), _share(small, factor * large)
    norm = whole.norm()
    if clip is not None:
        whole *= (clip / (norm + 1e-6)).clamp(max=1)
    pieces = whole.split([p.numel() for p in parameters])
    for parameter, piece in zip(parameters, pieces, strict=True):
        parameter.grad = piece.view_as(parameter)
    return norm, shares


def _share(fixed: Tensor, through: Tensor) -> Tensor:
    both = fixed + through
    return torch.where(both > 0, through / both.clamp(min=1e-30), 0.0)
