"""Max pooling, forwards and back: the winner takes all.

Among equals the first one wins, in the forward pass as in the relevance pass, so that
nothing is counted twice and nothing is lost. There are three ways to the same numbers,
because what is fast in one place is slow in another: PyTorch's own kernels where
operations run one by one; pointwise masks where a compiler fuses them with their
neighbors; and the kernels as closed operations where a compiler on a CPU would take
them apart (it makes slow code of pooling whose gradient is wanted).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .steps import rows_of


def exporting() -> bool:
    """Whether an export is running: kernels without an exporter are avoided."""
    asked = getattr(torch.compiler, "is_exporting", None)
    return bool(asked and asked()) or torch.onnx.is_in_onnx_export()


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
        if _training_on_cpu(a):
            return _pool_whole(a, window)
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
    if _fusing():
        apart = _apart(window, step, padding, dilation, ceil_mode)
        if apart and _training_on_cpu(a) and R.shape[0] == a.shape[0]:
            return _unpool_whole(R, a, indices, window)
        return _scattered(R, indices, shape)
    if n != 2:
        return _scattered(R, indices, shape)
    # The kernel that PyTorch uses for the gradient: same sum, no index arithmetic.
    shaped = torch.empty_like(a, dtype=R.dtype)
    if shape[0] != a.shape[0]:  # its layout must survive, or all below gets slower
        last = a.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        shaped = shaped.new_empty(shape).contiguous(memory_format=layout)
        R = R.contiguous(memory_format=layout)
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


def _training_on_cpu(a: Tensor) -> bool:
    whole = a.ndim == 4 and a.device.type == "cpu" and torch.is_grad_enabled()
    return whole and not exporting()


@torch.library.custom_op("lrpbook::max_pool", mutates_args=())
def _pool_whole(a: Tensor, window: list[int]) -> tuple[Tensor, Tensor]:
    """Max pooling that a compiler leaves whole."""
    return torch.ops.aten.max_pool2d_with_indices(a, window, window)


@torch.library.custom_op("lrpbook::max_unpool", mutates_args=())
def _unpool_whole(R: Tensor, a: Tensor, indices: Tensor, window: list[int]) -> Tensor:
    """Relevance, or a gradient, back to the winners."""
    return torch.ops.aten.max_pool2d_with_indices_backward(
        R, a, window, window, [0, 0], [1, 1], False, indices
    )


@_pool_whole.register_fake
def _pool_shapes(a: Tensor, window: list[int]) -> tuple[Tensor, Tensor]:
    return torch.ops.aten.max_pool2d_with_indices(a, window, window)


@_unpool_whole.register_fake
def _unpool_shapes(R: Tensor, a: Tensor, indices: Tensor, window: list[int]) -> Tensor:
    return torch.empty_like(a)


def _keep_pool(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[0], output[1])
    ctx.window = inputs[1]
    ctx.mark_non_differentiable(output[1])


def _pool_gradient(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor, None]:
    a, indices = ctx.saved_tensors
    return _unpool_whole(grad, a, indices, ctx.window), None


def _keep_unpool(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(inputs[2])


def _unpool_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    (indices,) = ctx.saved_tensors
    picked = grad.flatten(2).gather(2, indices.flatten(2))
    return picked.reshape(indices.shape), None, None, None


_pool_whole.register_autograd(_pool_gradient, setup_context=_keep_pool)
_unpool_whole.register_autograd(_unpool_gradient, setup_context=_keep_unpool)
