"""Operations of the backward walk that need no rule: where relevance simply goes.

The names here are the vocabulary of the generated program. Each is an ordinary
differentiable operation. The relevance ``R`` may have more rows than the activation
``a`` when ``a`` holds one sample and ``R`` one start per neuron (see BiLRP).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

#: Keeps a division by an exact zero finite where no rule brings its own stabilizer.
EPSILON = 1e-6


def stabilize(z: Tensor, epsilon: float | Tensor = EPSILON) -> Tensor:
    r""":math:`z + \epsilon\,\mathrm{sign}(z)`, with the sign of zero taken as one."""
    return torch.where(z >= 0, z + epsilon, z - epsilon)


def exporting() -> bool:
    """Whether an export is running: kernels without an exporter are avoided."""
    asked = getattr(torch.compiler, "is_exporting", None)
    return bool(asked and asked()) or torch.onnx.is_in_onnx_export()


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


def max_pool(
    a: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor | list[Tensor]]:
    """Max pooling in one to three dimensions, and who won each window."""
    n = a.ndim - 2
    window = _list(kernel_size, n)
    step = window if stride is None else _list(stride, n)
    if _fusing() and _apart(window, step, padding, dilation, ceil_mode):
        return _pool_apart(a, window)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[n - 1]
    return pool(
        a,
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode=ceil_mode,
        return_indices=True,
    )


def adaptive_max_pool(a: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """Adaptive max pooling, and the index of each winner."""
    pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
    return pool[a.ndim - 3](a, output_size, return_indices=True)


def _list(value: Any, n: int) -> list[int]:
    return [value] * n if isinstance(value, int) else list(value)


def winners(
    a: Tensor,
    R: Tensor,
    indices: Tensor | list[Tensor],
    kernel_size: Any = None,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """Undo max pooling: the winner of each window takes all of its relevance.

    Among equals the first one wins, as in the forward pass, so nothing is counted twice
    and nothing is lost.
    """
    shape = rows_of(R, a)
    n = a.ndim - 2
    if kernel_size is None and isinstance(indices, Tensor):
        return _scattered(R, indices, shape)
    window = _list(kernel_size, n)
    step = window if stride is None else _list(stride, n)
    if isinstance(indices, list):
        return _winners_apart(a, R, indices, window)
    if n != 2 or _fusing():
        return _scattered(R, indices, shape)
    # The kernel that PyTorch uses for the gradient: same sum, no index arithmetic.
    shaped = torch.empty_like(a, dtype=R.dtype).expand(shape)
    return torch.ops.aten.max_pool2d_with_indices_backward(
        R,
        shaped,
        window,
        step,
        _list(padding, n),
        _list(dilation, n),
        ceil_mode,
        indices.expand(R.shape),
    )


def _scattered(R: Tensor, indices: Tensor, shape: tuple[int, ...]) -> Tensor:
    out = torch.zeros(*shape[:2], _numel(shape[2:]), dtype=R.dtype, device=R.device)
    indices = indices.expand(R.shape).flatten(2)
    return out.scatter_add(2, indices, R.flatten(2)).reshape(shape)


def _pool_apart(a: Tensor, window: list[int]) -> tuple[Tensor, list[Tensor]]:
    """Max pooling as pointwise operations, for windows that do not overlap.

    The winners are masks, one for each place in the window, instead of indices: a
    compiler can fuse all of it, and the first among equals wins here too.
    """
    places = _places(a, window)
    with torch.no_grad():
        best = functools.reduce(torch.maximum, places)
        winners: list[Tensor] = []
        for place in places:
            wins = place == best
            for earlier in winners:
                wins = wins & ~earlier
            winners.append(wins)
    z = places[0]
    for place, wins in zip(places[1:], winners[1:], strict=True):
        z = torch.where(wins, place, z)
    return z, winners


def _places(a: Tensor, window: list[int]) -> list[Tensor]:
    """The window's places, each a strided view, in the order of the forward pass."""
    split: list[int] = []
    for dim, w in enumerate(window, start=2):
        count = a.shape[dim] // w
        a = a.narrow(dim, 0, count * w)
        split += [count, w]
    places = [a.reshape(*a.shape[:2], *split)]
    for i in range(len(window)):  # the dimension behind each count
        places = [view for place in places for view in place.unbind(3 + i)]
    return places


def _winners_apart(
    a: Tensor, R: Tensor, winners: list[Tensor], window: list[int]
) -> Tensor:
    n = len(window)
    taken = [torch.where(wins, R, 0) for wins in winners]
    out = torch.stack(taken, -1).reshape(*R.shape, *window)
    order = [0, 1]
    for i in range(n):
        order += [2 + i, 2 + n + i]
    sizes = [size * w for size, w in zip(R.shape[2:], window, strict=True)]
    out = out.permute(order).reshape(*R.shape[:2], *sizes)
    margin: list[int] = []
    for size, full in zip(reversed(sizes), reversed(a.shape[2:]), strict=True):
        margin += [0, full - size]  # what no window covers
    return F.pad(out, margin) if any(margin) else out


def _apart(
    window: list[int], step: list[int], padding: Any, dilation: Any, ceil_mode: bool
) -> bool:
    n = len(window)
    flush = not any(_list(padding, n)) and all(d == 1 for d in _list(dilation, n))
    return step == window and flush and not ceil_mode and _numel(window) <= 27


def _fusing() -> bool:
    return torch.compiler.is_compiling() or exporting()


def _numel(shape: Sequence[int]) -> int:
    n = 1
    for size in shape:
        n *= size
    return n
