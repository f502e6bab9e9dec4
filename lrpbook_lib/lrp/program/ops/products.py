"""Products of two tensors of the data, and softmax: gates and attention.

The rules of AttnLRP (Achtibat et al. 2024, ``achtibat2024``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...numerics import stabilize, undo
from ..rows import Sends, called, find, row, word
from ..spelling import Page
from ..trace import Step
from .elementwise import always, as_input, as_inputs

_GATES = {nn.Sigmoid, nn.Hardsigmoid, nn.Softmax}
_GATES |= set(called("sigmoid", "hardsigmoid", "softmax"))


def _is_gate(page: Page, node: Any) -> bool:
    """Whether values are between 0 and 1 by an activation, moved or scaled since."""
    while page.active(node) and node in page.facts.trace.steps:
        step = page.facts.trace.steps[node]
        if (type(step.module) if step.module else step.node.target) in _GATES:
            return True
        inputs = [n for n in node.all_input_nodes if page.active(n)]
        moved = step.op.nonnegative in (as_input, as_inputs)
        if not moved or len(inputs) != 1 or step.op.kind is not None:
            return False
        (node,) = inputs
    return False


def _gated(page: Page, step: Step, R: str) -> Sends:
    r"""The relevance of ``z = signal * gate``.

    Under ``Pass`` the signal takes all, :math:`R_{signal} = R`, where one of the two is
    seen to be a gate (a sigmoid or a softmax, moved or scaled since); otherwise, and
    under ``Half``, each takes :math:`R / 2`.
    """
    sides = [step.operand, step.settings["other"]]
    gates = [_is_gate(page, side) for side in sides]
    if page.rules[step.node].passes and sum(gates) == 1:
        signal = sides[gates.index(False)]
        return [(signal, f"fit({R}, {page.var(signal)})")]
    return [(side, f"fit({R} / 2, {page.var(side)})") for side in sides]


for key in called("mul"):
    row(key, **{**vars(find(key)), "pair": _gated})


@word
def factor(
    a: Tensor, z: Tensor, R: Tensor, map: Callable[[Tensor], Tensor], of: int
) -> Tensor:
    r"""The relevance of one factor of a product that is linear in each.

    .. math:: R_a = \tfrac{1}{n} \, a \odot f_a^\top(R / (z + \epsilon\,sign(z)))

    Each of ``of`` factors takes an equal part (``achtibat2024``).
    """
    return a * undo(map, a, R / stabilize(z)) / of


def _factors(page: Page, step: Step, R: str) -> Sends:
    inputs = [n for n in step.node.all_input_nodes if page.active(n)]
    flat = [*step.node.args, *step.node.kwargs.values()]
    for n in inputs:
        if flat.count(n) > 1:
            raise step.unsupported("A factor stands in it twice.")
        args = f"a={page.var(n)}, z={page.var(step.node)}, R={R}"
        map = f"lambda h: {page.call(step, h=n)}"
        yield n, page.flow("factor", f"{args}, map={map}, of={len(inputs)}", step)


for key in called("matmul"):
    row(key, **{**vars(find(key)), "pair": _factors})
row(*called("bmm"), torch.einsum, backward=_factors)


@word
def softened(a: Tensor, z: Tensor, R: Tensor, dim: int) -> Tensor:
    r"""Relevance of the input of a softmax.

    .. math:: R_i = a_i (R_i - z_i \textstyle\sum_j R_j)

    The first order of its Taylor series at ``a`` (``achtibat2024``); the
    constant term keeps the rest, as a bias does. What a mask has set to minus infinity
    gets none.
    """
    a = a.masked_fill(a.isinf(), 0)
    return a * (R - z * R.sum(dim, keepdim=True))


def _kept(R: Tensor, a: Tensor, z: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    none = R.new_zeros(())
    return R.sum() - softened(a, z, R, dim).sum(), none, none


softened.absorbed = _kept  # type: ignore[attr-defined]


def _softened(page: Page, step: Step, R: str) -> Sends:
    args = page.fill("a={a}, z={z}, R={R}, dim={dim}", step, R)
    yield step.operand, page.flow("softened", args, step)


_DIM: dict[str, Any] = {"backward": _softened, "settings": {"dim": -1}}
row(nn.Softmax, *called("softmax"), nonnegative=always, **_DIM)
