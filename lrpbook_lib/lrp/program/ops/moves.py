"""Reshaping, picking and joining: entries keep their values and change their places."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...numerics import undo
from ..rows import Sends, called, of, row, word
from ..spelling import Page
from ..trace import Step
from .elementwise import as_input

word(undo)


@word
def like(R: Tensor, a: Tensor) -> Tensor:
    """Undo a flatten, reshape, view, squeeze or unsqueeze of ``a``."""
    if R.numel() == a.numel():
        return R.reshape(a.shape)
    return R.reshape(-1, *a.shape[1:])


row(
    *of(nn, "Flatten", "Unflatten"),
    *called("flatten", "reshape", "view", "squeeze", "unsqueeze", "unflatten"),
    backward="like({R}, {a})",
    nonnegative=as_input,
)


@word
def permuted(R: Tensor, dims: Sequence[int]) -> Tensor:
    """Undo a permutation of the dimensions."""
    dims = [d % R.ndim for d in dims]
    return R.permute([dims.index(d) for d in range(R.ndim)])


def _permuted(page: Page, step: Step, R: str) -> Sends:
    dims: Any = step.node.args[1:] or tuple(step.node.kwargs.values())
    if len(dims) == 1 and isinstance(dims[0], tuple | list):
        (dims,) = dims
    yield step.operand, f"permuted({R}, {page.source(tuple(dims))})"


row(*called("permute"), backward=_permuted, nonnegative=as_input)
row(
    *called("transpose", "movedim", "swapaxes", "swapdims", "t", "expand", "repeat"),
    *called("roll", "flip", "narrow", "select", "index_select", "repeat_interleave"),
    *called("pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    *of(nn, "PixelShuffle", "PixelUnshuffle", "ChannelShuffle"),
    backward="undo(lambda h: {call}, {a}, {R})",
    nonnegative=as_input,
)


def _padded(step: Step, holds: Callable[[Any], bool]) -> bool:
    return holds(step.settings["value"] or 0) and holds(step.operand)


row(
    F.pad,
    *of(nn, "ZeroPad?d", "ConstantPad?d"),
    *of(nn, "ReflectionPad?d", "ReplicationPad?d", "CircularPad?d"),
    # The derivative at zero: a constant margin adds nothing to it.
    backward="undo(lambda h: {call}, {a}, {R})",
    settings={"pad": ..., "mode": "constant", "value": 0},
    nonnegative=_padded,
)
row(
    *called("chunk", "split", "unbind"),
    part="undo(lambda h: {call}[{part}], {a}, {R})",
    nonnegative=as_input,
)


def _picked(page: Page, step: Step, R: str) -> Sends:
    """One output of an operation that has several, or some entries of a tensor."""
    source, which = step.operand, step.node.args[1]
    several = page.facts.trace.steps.get(source)
    if several is not None and several.op.part:
        back = page.fill(several.op.part, several, R, part=which)
        return [(several.operand, back)]
    if which == "mT":
        return [(source, f"{R}.mT")]
    return [(source, page.fill("undo(lambda h: {call}, {a}, {R})", step, R))]


def _size(step: Step) -> bool:
    return step.node.args[1] not in ("values", "mT")


def _winners(step: Step) -> bool:
    of_max = getattr(step.operand, "target", None) in ("max", torch.max)
    return of_max and bool(step.node.args[1] == 1)


row(operator.getitem, backward=_picked, aside=_winners, nonnegative=as_input)
row(getattr, backward=_picked, aside=_size)
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


def _constant(
    R: Tensor, parts: Sequence[Tensor], which: int, dim: int, constant: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """What constant inputs of a concatenation, as a class token, take: as a bias."""
    none = R.new_zeros(())
    return sum((piece(R, parts, i, dim).sum() for i in constant), none), none, none


@word
def piece_beside(
    R: Tensor, parts: Sequence[Tensor], which: int, dim: int, constant: Sequence[int]
) -> Tensor:
    """As ``piece``, where inputs that do not depend on the data take theirs."""
    return piece(R, parts, which, dim)


piece_beside.absorbed = _constant  # type: ignore[attr-defined]


def _pieces(page: Page, step: Step, R: str) -> Sends:
    parts, dim = (page.source(v) for v in (tuple(step.operand), step.settings["dim"]))
    constant = [i for i, n in enumerate(step.operand) if not page.active(n)]
    for i, n in enumerate(step.operand):
        args = f"R={R}, parts={parts}, which={i}, dim={dim}, constant={constant}"
        if not (page.watched and constant):
            yield n, f"piece({R}, {parts}, which={i}, dim={dim})"
        elif page.active(n):
            yield n, page.flow("piece_beside", args, step)


def _slices(page: Page, step: Step, R: str) -> Sends:
    for i, n in enumerate(step.operand):
        yield n, f"{R}.select({page.source(step.settings['dim'])}, {i})"


def _as_each(step: Step, holds: Callable[[Any], bool]) -> bool:
    return all(holds(n) for n in step.operand)


row(
    *called("cat", "concat"),
    backward=_pieces,
    settings={"dim": 0},
    nonnegative=_as_each,
)
row(*called("stack"), backward=_slices, settings={"dim": 0}, nonnegative=_as_each)
