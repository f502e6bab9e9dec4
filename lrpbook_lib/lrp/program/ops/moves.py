"""Reshaping, picking and joining: entries keep their values and change their places."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional as F

from ...numerics import undo
from ..page import Page
from ..table import Sends, called, of, row, word
from ..trace import Step
from .elementwise import as_input

word(undo)


@word
def like(R: Tensor, a: Tensor) -> Tensor:
    """Undo a flatten, reshape, view, squeeze or unsqueeze of ``a``."""
    if R.numel() == a.numel():
        return R.reshape(a.shape)
    return R.reshape(-1, *a.shape[1:])


def _reshaped(page: Page, step: Step, R: str) -> Sends:
    yield step.operand, f"like({R}, {page.var(step.operand)})"


row(
    *of(nn, "Flatten", "Unflatten"),
    *called("flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten"),
    backward=_reshaped,
    nonnegative=as_input,
)


@word
def permuted(R: Tensor, dims: Sequence[int]) -> Tensor:
    """Undo a permutation of the dimensions."""
    dims = [d % R.ndim for d in dims]
    return R.permute([dims.index(d) for d in range(R.ndim)])


def _permuted(page: Page, step: Step, R: str) -> Sends:
    dims = step.node.args[1:] or tuple(step.node.kwargs.values())
    if len(dims) == 1 and isinstance(dims[0], tuple | list):
        dims = tuple(dims[0])
    yield step.operand, f"permuted({R}, {page.source(tuple(dims))})"


row(*called("permute"), backward=_permuted, nonnegative=as_input)


def _undone(page: Page, step: Step, R: str, picked: str = "") -> Sends:
    # A constant, such as a margin, adds nothing to the derivative at zero.
    a = step.operand
    call = page.call(step, {a: "h"}) + picked
    yield a, f"undo(lambda h: {call}, {page.var(a)}, {R})"


row(
    *called("transpose", "movedim", "swapaxes", "swapdims", "t", "expand", "repeat"),
    *called("roll", "flip", "narrow", "select", "index_select", "repeat_interleave"),
    *called("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    *of(nn, "PixelShuffle", "PixelUnshuffle", "ChannelShuffle"),
    backward=_undone,
    nonnegative=as_input,
)


def _padded(step: Step, holds: Callable[[Any], bool]) -> bool:
    margin = step.settings("pad", "mode", "value").get("value") or 0
    return holds(margin) and holds(step.operand)


row(
    F.pad,
    *of(nn, "ZeroPad?d", "ConstantPad?d"),
    *of(nn, "ReflectionPad?d", "ReplicationPad?d", "CircularPad?d"),
    backward=_undone,
    nonnegative=_padded,
)


def _slice_of(page: Page, step: Step, index: Any, R: str) -> Sends:
    return _undone(page, step, R, f"[{page.source(index)}]")


row(*called("chunk", "split", "unbind"), part=_slice_of, nonnegative=as_input)


def _part(page: Page, step: Step, R: str) -> Sends | None:
    """Relevance of one output of an operation that has several."""
    source, which = step.node.args
    several = page.facts.trace.steps.get(source)
    if several is None or several.op.part is None:
        return None
    return several.op.part(page, several, which, R)


def _picked(page: Page, step: Step, R: str) -> Sends:
    return _part(page, step, R) or _undone(page, step, R)


def _attribute(page: Page, step: Step, R: str) -> Sends:
    return _part(page, step, R) or [(step.operand, f"{R}.mT")]


def _no_value(step: Step) -> bool:
    return step.node.args[1] not in ("values", "mT")


row(operator.getitem, backward=_picked, nonnegative=as_input)
row(getattr, backward=_attribute, aside=_no_value)
row(
    *called("size", "dim", "numel", "ndimension", "new_zeros"),
    *called("zeros_like", "ones_like", "full_like"),
    len,
    aside=lambda step: True,  # computed, but no relevance belongs to them
)


@word
def piece(R: Tensor, parts: Sequence[Tensor], which: int, dim: int = 0) -> Tensor:
    """The part of a concatenation's relevance that came from input ``which``."""
    start = sum(part.shape[dim] for part in parts[:which])
    return R.narrow(dim, start, parts[which].shape[dim])


def _joined(step: Step) -> tuple[Sequence[fx.Node], Any]:
    """The tensors of a concatenation or a stack, and its dimension."""
    given = {"tensors": step.node.args[0]} if step.node.args else step.node.kwargs
    dim = step.settings("dim", "axis")
    return given["tensors"], dim.get("dim", dim.get("axis", 0))


def _all_of_them(step: Step, holds: Callable[[Any], bool]) -> bool:
    return all(holds(tensor) for tensor in _joined(step)[0])


def _pieces(page: Page, step: Step, R: str) -> Sends:
    tensors, dim = _joined(step)
    parts = page.source(tuple(tensors))
    for i, n in enumerate(tensors):
        yield n, f"piece({R}, {parts}, which={i}, dim={page.source(dim)})"


def _slices(page: Page, step: Step, R: str) -> Sends:
    tensors, dim = _joined(step)
    for i, n in enumerate(tensors):
        yield n, f"{R}.select({page.source(dim)}, {i})"


row(*called("cat", "concat"), backward=_pieces, nonnegative=_all_of_them)
row(*called("stack"), backward=_slices, nonnegative=_all_of_them)
