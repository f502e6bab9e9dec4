"""Sums, means and products with a constant: relevance in proportion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx

from ...numerics import stabilize
from ..page import Page
from ..table import Sends, called, row, word
from ..trace import Step
from .elementwise import as_input


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


def _shares(page: Page, step: Step, R: str, sign: str = "") -> Sends:
    more = step.settings("other", "alpha")
    times = "" if more.get("alpha", 1) == 1 else f"{page.source(more['alpha'])} * "
    terms = ((step.operand, ""), (more["other"], sign + times))
    constant = "".join(
        f", constant={scale}{page.source(n)}"
        for n, scale in terms
        if not page.active(n)
    )
    for n, scale in terms:
        if page.active(n):
            args = f"a={scale}{page.var(n)}, z={page.var(step.node)}, R={R}{constant}"
            yield n, page.flow("share", args, step)


def _sum_is(step: Step, holds: Callable[[Any], bool]) -> bool:
    given = {"alpha": 1} | step.settings("other", "alpha")
    return all(holds(v) for v in (step.operand, given["other"], given["alpha"]))


row(*called("add"), backward=_shares, nonnegative=_sum_is)
row(*called("sub"), backward=lambda *args: _shares(*args, sign="-"))


def _scaled(page: Page, step: Step, R: str) -> Sends:
    inputs = [
        v for v in (*step.node.args, *step.node.kwargs.values()) if page.active(v)
    ]
    if len(inputs) != 1:
        raise step.unsupported()
    yield inputs[0], f"fit({R}, {page.var(inputs[0])})"


def _divided(page: Page, step: Step, R: str) -> Sends:
    if not page.active(step.operand):
        raise step.unsupported()
    return _scaled(page, step, R)


def _product_is(step: Step, holds: Callable[[Any], bool]) -> bool:
    return all(holds(v) for v in (*step.node.args, *step.node.kwargs.values()))


row(*called("mul"), backward=_scaled, nonnegative=_product_is)
row(*called("div", "truediv"), backward=_divided, nonnegative=_product_is)


@word
def averaged(a: Tensor, z: Tensor, R: Tensor, dims: Any, keepdim: bool) -> Tensor:
    r"""Relevance of a mean or a sum over ``dims``, in proportion to its summands.

    .. math:: R_i = a_i / \textstyle\sum_j a_j \; R
    """
    dims = reduced(dims, a.ndim)
    total = a.sum(dims, keepdim=True)
    if not keepdim:
        for d in sorted(dims):
            R = R.unsqueeze(d)
    return a * (R / stabilize(total))


def reduced(dims: Any, ndim: int) -> list[int]:
    """The dimensions that a reduction runs over, counted from the first."""
    if dims is None:
        return list(range(ndim))
    return [d % ndim for d in ([dims] if isinstance(dims, int) else list(dims))]


def reduction(page: Page, step: Step) -> str:
    """The dimensions of a call, as ``averaged`` and ``largest`` take them."""
    given = step.settings("dim", "keepdim")
    dims = given.get("dim", step.node.kwargs.get("axis"))
    if isinstance(dims, fx.Node):
        raise step.unsupported()
    keep = given.get("keepdim", False)
    return f"dims={page.source(dims)}, keepdim={page.source(keep)}"


def _averages(page: Page, step: Step, R: str) -> Sends:
    a = step.operand
    args = f"a={page.var(a)}, z={page.var(step.node)}, R={R}, {reduction(page, step)}"
    yield a, page.flow("averaged", args, step)


row(*called("mean", "sum"), backward=_averages, nonnegative=as_input)
