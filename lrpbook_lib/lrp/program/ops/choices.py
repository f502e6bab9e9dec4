"""Operations that choose: bounds, conditions, the larger of two, the largest of all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..page import Page
from ..table import Sends, called, row, word
from ..trace import Step
from .elementwise import as_input, stays
from .moves import permuted
from .sums import reduced, reduction

Holds = Callable[[Any], bool]


def _bounded(step: Step, holds: Holds) -> bool:
    bounds = step.settings("min", "max")
    low, high = bounds.get("min"), bounds.get("max")
    return (high is None or holds(high)) and (holds(low) or holds(step.operand))


row(*called("clamp", "clip", "clamp_min"), backward=stays, nonnegative=_bounded)


def _chosen(page: Page, left: Any, right: Any, condition: str, R: str) -> Sends:
    for side, taken in ((left, f"{R}, 0"), (right, f"0, {R}")):
        if page.active(side):
            yield side, f"fit(torch.where({condition}, {taken}), {page.var(side)})"


def _where(page: Page, step: Step, R: str) -> Sends:
    given, sides = step.node.args, step.settings("input", "other")
    condition = page.source(given[0] if given else step.node.kwargs["condition"])
    return _chosen(page, sides["input"], sides["other"], condition, R)


def _both_sides(step: Step, holds: Holds) -> bool:
    return all(holds(side) for side in step.settings("input", "other").values())


row(torch.where, backward=_where, nonnegative=_both_sides)


def _winner(sign: str, page: Page, step: Step, R: str) -> Sends:
    """The larger (or smaller) of two takes all, the first among equals."""
    left, right = step.operand, step.settings("other")["other"]
    condition = f"{page.source(left)} {sign} {page.source(right)}"
    return _chosen(page, left, right, condition, R)


def _both(step: Step, holds: Holds) -> bool:
    return holds(step.operand) and holds(step.settings("other")["other"])


for name, sign in (("maximum", ">="), ("minimum", "<=")):
    row(*called(name), backward=functools.partial(_winner, sign), nonnegative=_both)


@word
def largest(a: Tensor, R: Tensor, dims: Any, keepdim: bool) -> Tensor:
    """Relevance of a maximum over ``dims``: the first largest entry takes all of it."""
    dims = reduced(dims, a.ndim)
    kept = [d for d in range(a.ndim) if d not in dims]
    if not keepdim:
        for d in sorted(dims):
            R = R.unsqueeze(d)
    order = kept + dims
    moved = a.permute(order).flatten(len(kept))
    R = R.permute(order).flatten(len(kept))
    winner = moved.argmax(-1, keepdim=True).expand(R.shape)
    out = R.new_zeros(*R.shape[:-1], moved.shape[-1]).scatter(-1, winner, R)
    return permuted(out.reshape(*R.shape[:-1], *[a.shape[d] for d in dims]), order)


def _largest(page: Page, step: Step, R: str) -> Sends:
    a = step.operand
    yield a, f"largest(a={page.var(a)}, R={R}, {reduction(page, step)})"


def _largest_part(page: Page, step: Step, which: Any, R: str) -> Sends:
    if which not in (0, "values"):
        raise step.unsupported()
    return _largest(page, step, R)


row(*called("amax"), backward=_largest, nonnegative=as_input)
row(*called("max"), backward=_largest, part=_largest_part, nonnegative=as_input)
