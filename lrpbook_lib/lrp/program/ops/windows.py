"""Max pooling where a compiler or an exporter looks.

Beside PyTorch's own kernels there are two more ways to the same numbers, because what
is fast in one place is slow in another: pointwise masks, where a compiler fuses them
with their neighbors; and the kernels as closed operations, where a compiler on a CPU
would take them apart (it makes slow code of pooling whose gradient is wanted). Both are
for windows that do not overlap.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _exporting() -> bool:
    """Whether an export is running: kernels without an exporter are avoided."""
    asked = getattr(torch.compiler, "is_exporting", None)
    return bool(asked and asked()) or torch.onnx.is_in_onnx_export()


def fusing() -> bool:
    """Whether operations are being compiled or exported."""
    return torch.compiler.is_compiling() or _exporting()


def training_on_cpu(a: Tensor) -> bool:
    """Whether the kernels are to be left whole."""
    whole = a.ndim == 4 and a.device.type == "cpu" and torch.is_grad_enabled()
    return whole and not _exporting()


def pool_apart(a: Tensor, window: list[int]) -> tuple[Tensor, list[Tensor]]:
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


def winners_apart(
    a: Tensor, R: Tensor, winners: list[Tensor], window: list[int]
) -> Tensor:
    """Undo :func:`pool_apart`: the winner of each window takes its relevance."""
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


@torch.library.custom_op("lrpbook::max_pool", mutates_args=())
def pool_whole(a: Tensor, window: list[int]) -> tuple[Tensor, Tensor]:
    """Max pooling that a compiler leaves whole."""
    return torch.ops.aten.max_pool2d_with_indices(a, window, window)


@torch.library.custom_op("lrpbook::max_unpool", mutates_args=())
def unpool_whole(R: Tensor, a: Tensor, indices: Tensor, window: list[int]) -> Tensor:
    """Relevance, or a gradient, back to the winners."""
    return torch.ops.aten.max_pool2d_with_indices_backward(
        R, a, window, window, [0, 0], [1, 1], False, indices
    )


@pool_whole.register_fake
def _pool_shapes(a: Tensor, window: list[int]) -> tuple[Tensor, Tensor]:
    return torch.ops.aten.max_pool2d_with_indices(a, window, window)


@unpool_whole.register_fake
def _unpool_shapes(R: Tensor, a: Tensor, indices: Tensor, window: list[int]) -> Tensor:
    return torch.empty_like(a)


def _keep_pool(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[0], output[1])
    ctx.window = inputs[1]
    ctx.mark_non_differentiable(output[1])


def _pool_gradient(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor, None]:
    a, indices = ctx.saved_tensors
    return unpool_whole(grad, a, indices, ctx.window), None


def _keep_unpool(ctx: Any, inputs: tuple, output: Tensor) -> None:
    ctx.save_for_backward(inputs[2])


def _unpool_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
    (indices,) = ctx.saved_tensors
    picked = grad.flatten(2).gather(2, indices.flatten(2))
    return picked.reshape(indices.shape), None, None, None


pool_whole.register_autograd(_pool_gradient, setup_context=_keep_pool)
unpool_whole.register_autograd(_unpool_gradient, setup_context=_keep_unpool)
