"""Operations that choose: bounds, conditions, the larger of two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from .ops_flow import Aside, Elementwise
from .registry import Op, add

if TYPE_CHECKING:
    from .analysis import Analysis
    from .transform import Writer

Sends = Iterable[tuple[fx.Node, str]]


class Clamp(Elementwise):
    """Bounds on each entry: relevance of each entry stays where it is."""

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        low = w.argument(node, 1, "min")
        high = w.argument(node, 2, "max")
        if not all(v is None or isinstance(v, int | float) for v in (low, high)):
            return False
        if high is not None and high < 0:
            return False
        return (low is not None and low >= 0) or w.nonnegative(
            w.argument(node, 0, "input")
        )


class Where(Op):
    """A choice by a condition: relevance goes to the side that was chosen."""

    def _sides(self, node: fx.Node) -> tuple[Any, Any]:
        given = dict(zip(("condition", "input", "other"), node.args, strict=False))
        given.update(node.kwargs)
        return given["input"], given["other"]

    def _condition(self, w: Writer, node: fx.Node) -> str:
        return w.source(w.argument(node, 0, "condition"))

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        left, right = self._sides(node)
        condition = self._condition(w, node)
        for side, taken in ((left, f"{R}, 0"), (right, f"0, {R}")):
            if w.active(side):
                yield side, f"fit(torch.where({condition}, {taken}), {w.var(side)})"

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return all(
            w.nonnegative(side)
            if isinstance(side, fx.Node)
            else isinstance(side, int | float) and side >= 0
            for side in self._sides(node)
        )


class Larger(Where):
    """The larger (or smaller) of two: the winner takes all, the first among equals."""

    def __init__(self, sign: str) -> None:
        self.sign = sign

    def _sides(self, node: fx.Node) -> tuple[Any, Any]:
        given = dict(zip(("input", "other"), node.args, strict=False))
        given.update(node.kwargs)
        return given["input"], given["other"]

    def _condition(self, w: Writer, node: fx.Node) -> str:
        left, right = self._sides(node)
        return f"{w.source(left)} {self.sign} {w.source(right)}"


def _keys(*keys: Any) -> tuple[Any, ...]:
    return keys


def _install() -> None:
    for key in _keys(torch.clamp, torch.clip, "clamp", "clip", "clamp_"):
        add(key, Clamp())
    for key in _keys(torch.clamp_min, "clamp_min"):
        add(key, Clamp())
    add(torch.where, Where())
    for key in _keys(torch.maximum, "maximum"):
        add(key, Larger(">="))
    for key in _keys(torch.minimum, "minimum"):
        add(key, Larger("<="))
    for key in _keys(torch.zeros_like, torch.ones_like, torch.full_like):
        add(key, Aside())
    for kind in _keys(nn.Hardshrink, nn.Softshrink, nn.Tanhshrink):
        add(kind, Elementwise(keeps=True))
    for kind in _keys(nn.Threshold, nn.LogSigmoid):
        add(kind, Elementwise())


_install()
