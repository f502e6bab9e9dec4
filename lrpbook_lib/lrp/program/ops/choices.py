"""Operations that choose: bounds, conditions, the larger of two, the largest of all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from ..rows import Sends, called, row, word
from ..spelling import Page
from ..trace import Step
from .elementwise import as_input, as_inputs
from .moves import permuted
from .sums import reduced, widened


def _bounded(step: Step, holds: Callable[[Any], bool]) -> bool:
    low, high = step.settings["min"], step.settings["max"]
    return (high is None or holds(high)) and (holds(low) or holds(step.operand))


row(
    *called("clamp", "clip", "clamp_min"),
    backward="{R}",
    settings={"min": None, "max": None},
    nonnegative=_bounded,
)


def _chosen(page: Page, condition: str, sides: tuple[Any, Any], R: str) -> Sends:
    for side, taken in zip(sides, (f"{R}, 0", f"0, {R}"), strict=True):
        if page.active(side):
            yield side, f"fit(torch.where({condition}, {taken}), {page.var(side)})"


def _where(page: Page, step: Step, R: str) -> Sends:
    sides = (step.settings["input"], step.settings["other"])
    return _chosen(page, page.source(step.operand), sides, R)


def _both_sides(step: Step, holds: Callable[[Any], bool]) -> bool:
    return all(holds(side) for side in step.settings.values())


row(
    torch.where,
    backward=_where,
    settings={"input": ..., "other": ...},
    nonnegative=_both_sides,
)


def _winner(sign: str, page: Page, step: Step, R: str) -> Sends:
    """The larger (or smaller) of two takes all, the first among equals."""
    sides = (step.operand, next(iter(step.settings.values())))
    condition = f" {sign} ".join(page.source(side) for side in sides)
    return _chosen(page, condition, sides, R)


for name, sign in (("maximum", ">="), ("minimum", "<=")):
    row(
        *called(name),
        backward=functools.partial(_winner, sign),
        settings={"other": ...},
        nonnegative=as_inputs,
    )


@word
def largest(a: Tensor, R: Tensor, dims: Any, keepdim: bool) -> Tensor:
    """Relevance of a maximum over ``dims``: the first largest entry takes all of it."""
    dims = reduced(dims, a.ndim)
    kept = [d for d in range(a.ndim) if d not in dims]
    order = kept + dims
    moved = a.permute(order).flatten(len(kept))
    R = widened(R, dims, keepdim).permute(order).flatten(len(kept))
    winner = moved.argmax(-1, keepdim=True).expand(R.shape)
    out = R.new_zeros(*R.shape[:-1], moved.shape[-1]).scatter(-1, winner, R)
    return permuted(out.reshape(*R.shape[:-1], *[a.shape[d] for d in dims]), order)


_LARGEST = "largest(a={a}, R={R}, dims={dim}, keepdim={keepdim})"
_REDUCED = {"dim": None, "keepdim": False}


def _max(page: Page, step: Step, R: str) -> Sends:
    if isinstance(step.settings["dim"], fx.Node):  # of two tensors
        return _winner(">=", page, step, R)
    return [(step.operand, page.fill(_LARGEST, step, R))]


row(*called("amax"), backward=_LARGEST, settings=_REDUCED, nonnegative=as_input)
row(
    *called("max"),
    backward=_max,
    part=_LARGEST,
    settings=_REDUCED,
    nonnegative=as_input,
)
