"""Sums, means and products with a constant: relevance in proportion."""

from __future__ import annotations

import functools
from typing import Any

from torch import Tensor

from ...numerics import stabilize
from ..rows import Sends, called, row, word
from ..spelling import Page
from ..trace import Step
from .elementwise import as_input, as_inputs


@word
def fit(R: Tensor, a: Tensor) -> Tensor:
    """Sum over what broadcasting has spread, so that ``R`` is shaped like ``a``."""
    if R.shape[1:] == a.shape[1:]:
        return R
    while R.ndim > a.ndim:
        R = R.sum(0)
    dims = [d for d in range(1, a.ndim) if a.shape[d] == 1 and R.shape[d] != 1]
    return R.sum(dims, keepdim=True) if dims else R


@word
def share(a: Tensor, z: Tensor, R: Tensor, constant: Any = None) -> Tensor:
    r"""The share of one summand of ``z = a + ...``.

    .. math:: R_a = a \, R / (z + \epsilon\,\mathrm{sign}(z))

    A ``constant`` summand takes its share as a bias does; the ledger asks for it.
    """
    return fit(a * (R / stabilize(z)), a)


def _shares(sign: str, page: Page, step: Step, R: str) -> Sends:
    other, alpha = step.settings["other"], step.settings["alpha"]
    times = "" if alpha == 1 else f"{page.source(alpha)} * "
    terms = ((step.operand, ""), (other, sign + times))
    fixed = [scale + page.source(n) for n, scale in terms if not page.active(n)]
    constant = "".join(f", constant={term}" for term in fixed)
    for n, scale in terms:
        if page.active(n):
            args = f"a={scale}{page.var(n)}, z={page.var(step.node)}, R={R}{constant}"
            yield n, page.flow("share", args, step)


_TERMS = {"other": ..., "alpha": 1}
plus, minus = (functools.partial(_shares, sign) for sign in ("", "-"))
row(*called("add"), backward=plus, settings=_TERMS, nonnegative=as_inputs)
row(*called("sub"), backward=minus, settings=_TERMS)


def _scaled(page: Page, step: Step, R: str) -> Sends:
    inputs = [v for v in (step.operand, step.settings["other"]) if page.active(v)]
    if len(inputs) != 1:
        raise step.unsupported()
    return [(n, f"fit({R}, {page.var(n)})") for n in inputs]


def _divided(page: Page, step: Step, R: str) -> Sends:
    if not page.active(step.operand):
        raise step.unsupported()
    return _scaled(page, step, R)


_FACTOR = {"other": ...}
row(*called("mul"), backward=_scaled, settings=_FACTOR, nonnegative=as_inputs)
row(
    *called("div", "truediv"),
    backward=_divided,
    settings=_FACTOR,
    nonnegative=as_inputs,
)


@word
def averaged(a: Tensor, z: Tensor, R: Tensor, dims: Any, keepdim: bool) -> Tensor:
    r"""Relevance of a mean or a sum over ``dims``, in proportion to its summands.

    .. math:: R_i = a_i / \textstyle\sum_j a_j \; R
    """
    dims = reduced(dims, a.ndim)
    total = a.sum(dims, keepdim=True)
    return a * (widened(R, dims, keepdim) / stabilize(total))


def reduced(dims: Any, ndim: int) -> list[int]:
    """The dimensions that a reduction runs over, counted from the first."""
    if dims is None:
        return list(range(ndim))
    return sorted(d % ndim for d in ([dims] if isinstance(dims, int) else dims))


def widened(R: Tensor, dims: list[int], keepdim: bool) -> Tensor:
    """Relevance of a reduction, with the dimensions back that it took away."""
    for d in () if keepdim else dims:
        R = R.unsqueeze(d)
    return R


def _averages(page: Page, step: Step, R: str) -> Sends:
    args = "a={a}, z={z}, R={R}, dims={dim}, keepdim={keepdim}"
    yield step.operand, page.flow("averaged", page.fill(args, step, R), step)


row(
    *called("mean", "sum"),
    backward=_averages,
    settings={"dim": None, "keepdim": False},
    nonnegative=as_input,
)
