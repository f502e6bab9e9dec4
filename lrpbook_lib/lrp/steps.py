"""Operations of the backward walk that need no rule: where relevance simply goes.

The names here are the vocabulary of the generated program. Each is an ordinary
differentiable operation. The relevance ``R`` may have more rows than the activation
``a`` when ``a`` holds one sample and ``R`` one start per neuron (see BiLRP).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

#: Keeps a division by an exact zero finite where no rule brings its own stabilizer.
EPSILON = 1e-6


def stabilize(z: Tensor, epsilon: float | Tensor = EPSILON) -> Tensor:
    r""":math:`z + \epsilon\,\mathrm{sign}(z)`, with the sign of zero taken as one."""
    return torch.where(z >= 0, z + epsilon, z - epsilon)


def rows_of(R: Tensor, a: Tensor) -> tuple[int, ...]:
    """The shape of ``a``, with as many rows as there are starts for its one sample."""
    if R.shape[0] == a.shape[0] or a.shape[0] != 1:
        return tuple(a.shape)
    return (R.shape[0], *a.shape[1:])


def like(R: Tensor, a: Tensor) -> Tensor:
    """Undo a flatten, reshape, view, squeeze or unsqueeze of ``a``."""
    if R.numel() == a.numel():
        return R.reshape(a.shape)
    return R.reshape(-1, *a.shape[1:])


def fit(R: Tensor, a: Tensor) -> Tensor:
    """Sum over what broadcasting has spread, so that ``R`` is shaped like ``a``."""
    if R.shape[1:] == a.shape[1:]:
        return R
    while R.ndim > a.ndim:
        R = R.sum(0)
    dims = [d for d in range(1, a.ndim) if a.shape[d] == 1 and R.shape[d] != 1]
    return R.sum(dims, keepdim=True) if dims else R


def undo(map: Callable[[Tensor], Any], a: Tensor, R: Tensor) -> Tensor:
    """``map`` transposed at ``R``; ``map`` is linear and only moves or sums entries.

    Used for slices, permutations, padding, shuffles and the like: each output entry is
    a copy of an input entry, so its relevance goes back to where it came from.
    """
    shape = rows_of(R, a)
    # A linear map has the same transpose everywhere; zeros carry no history along.
    at = torch.zeros(shape, dtype=R.dtype, device=R.device)
    transposed = torch.func.vjp(map, at)[1]
    return transposed(R)[0]


def permuted(R: Tensor, dims: Sequence[int]) -> Tensor:
    """Undo a permutation of the dimensions."""
    dims = [d % R.ndim for d in dims]
    return R.permute([dims.index(d) for d in range(R.ndim)])


def piece(R: Tensor, parts: Sequence[Tensor], which: int, dim: int = 0) -> Tensor:
    """The part of a concatenation's relevance that came from input ``which``."""
    start = sum(part.shape[dim] for part in parts[:which])
    return R.narrow(dim, start, parts[which].shape[dim])


def share(a: Tensor, z: Tensor, R: Tensor, constant: Any = None) -> Tensor:
    r"""The share of one summand of ``z = a + ...``.

    .. math:: R_a = a \, R / (z + \epsilon\,\mathrm{sign}(z))

    A ``constant`` summand takes its share as a bias does; the ledger asks for it.
    """
    return fit(a * (R / stabilize(z)), a)


def averaged(a: Tensor, z: Tensor, R: Tensor, dims: Any, keepdim: bool) -> Tensor:
    r"""Relevance of a mean or a sum over ``dims``, in proportion to its summands.

    .. math:: R_i = a_i / \textstyle\sum_j a_j \; R
    """
    dims = _dims(dims, a.ndim)
    total = a.sum(dims, keepdim=True)
    if not keepdim:
        for d in sorted(dims):
            R = R.unsqueeze(d)
    return a * (R / stabilize(total))


def largest(a: Tensor, R: Tensor, dims: Any, keepdim: bool) -> Tensor:
    """Relevance of a maximum over ``dims``: the first largest entry takes all of it."""
    dims = _dims(dims, a.ndim)
    kept = [d for d in range(a.ndim) if d not in dims]
    if not keepdim:
        for d in sorted(dims):
            R = R.unsqueeze(d)
    order = kept + dims
    moved = a.permute(order)
    winner = moved.reshape(*moved.shape[: len(kept)], -1).argmax(-1, keepdim=True)
    flat = R.permute(order).reshape(*[R.shape[d] for d in kept], 1)
    winner = winner.expand(flat.shape)
    size = [R.shape[d] for d in kept]
    width = 1
    for d in dims:
        width *= a.shape[d]
    out = torch.zeros(*size, width, dtype=R.dtype, device=R.device)
    out = out.scatter(-1, winner, flat).reshape(*size, *[a.shape[d] for d in dims])
    return permuted(out, order)


def _dims(dims: Any, ndim: int) -> list[int]:
    if dims is None:
        return list(range(ndim))
    return [d % ndim for d in ([dims] if isinstance(dims, int) else list(dims))]
