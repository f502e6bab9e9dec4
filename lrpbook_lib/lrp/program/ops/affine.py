"""Linear layers, convolutions and products with a constant matrix: a rule applies."""

from __future__ import annotations

import functools

from torch import nn
from torch.nn import functional as F

from ...errors import LRPError
from ...layers import Dense, conv, conv_transposed
from ..page import Page
from ..table import Sends, called, of, row, word
from ..trace import Step

for function in (Dense, conv, conv_transposed):
    word(function)


def by_rule(page: Page, step: Step, R: str) -> Sends:
    """The rule of this place, for the layer that its row names."""
    layer = functools.partial(step.op.layer, page, step)
    return page.redistribute(step, layer, step.node, R)


def itself(page: Page, step: Step) -> str:
    """The module, which the rule knows how to look at."""
    return page.path(str(step.node.target))


def _call(view: str, names: tuple[str, ...], page: Page, step: Step) -> str:
    """Weight and bias are arguments of the call, under the names that ``view`` takes."""
    given = step.settings(*names)
    if page.active(given["weight"]):
        raise LRPError(
            f"The weight of {step.name!r} depends on the input. LRP treats "
            "weights as given; compute them from parameters only."
        )
    shown = {k: given[k] for k in names if given.get(k) is not None}
    return f"{view}({page.keywords(shown)})"


_DENSE = ("weight", "bias")
_CONV = (*_DENSE, "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_DENSE, "stride", "padding", "output_padding", "groups", "dilation")

for kind, modules, functions, view, names in (
    ("dense", "Linear", "linear", "Dense", _DENSE),
    ("conv", "Conv?d", "conv?d", "conv", _CONV),
    ("conv", "ConvTranspose?d", "conv_transpose?d", "conv_transposed", _TRANSPOSED),
):
    called_with = functools.partial(_call, view, names)
    row(*of(nn, modules), kind=kind, affine=True, backward=by_rule, layer=itself)
    row(*of(F, functions), kind=kind, affine=True, backward=by_rule, layer=called_with)


def _constant_matrix(page: Page, step: Step) -> str:
    right = step.settings("other")["other"]
    if not page.active(step.operand) or page.active(right):
        raise step.unsupported()
    return f"Dense(weight={page.source(right)}.mT)"


row(*called("matmul"), kind="dense", backward=by_rule, layer=_constant_matrix)
