"""Linear layers, convolutions and products with a constant matrix: a rule applies."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from ...layers import Dense, conv, conv_transposed
from ..page import Page
from ..table import Sends, called, of, row, word
from ..trace import Step

for function in (Dense, conv, conv_transposed):
    word(function)


def by_rule(page: Page, step: Step, R: str) -> Sends:
    """The rule of this place, for the layer that its row names."""
    rule = page.rules[step.node]
    if rule.passes:
        return [(step.operand, R)]
    if not step.op.layer:
        raise step.unsupported(f"It takes Pass() only; the composite says {rule!r}.")
    if [n for n in step.node.all_input_nodes if page.active(n)] != [step.operand]:
        raise step.unsupported(
            "Its weight or its factor depends on the input; a rule takes it as given."
        )
    layer = page.fill(step.op.layer, step)
    return [(step.operand, page.by_rule(step, layer, step.node, R))]


_DENSE = ("weight", "bias")
_CONV = (*_DENSE, "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_DENSE, "stride", "padding", "output_padding", "groups", "dilation")

row(
    nn.Linear,
    kind="dense",
    affine=True,
    backward=by_rule,
    layer="{module}",
)
row(
    *of(nn, "Conv?d", "ConvTranspose?d"),
    kind="conv",
    affine=True,
    backward=by_rule,
    layer="{module}",
)
for kind, functions, view, names in (
    ("dense", "linear", "Dense", _DENSE),
    ("conv", "conv?d", "conv", _CONV),
    ("conv", "conv_transpose?d", "conv_transposed", _TRANSPOSED),
):
    row(
        *of(F, functions),
        kind=kind,
        affine=True,
        backward=by_rule,
        layer=view + "({settings})",
        settings=dict.fromkeys(names),
    )
row(
    *called("matmul"),
    kind="dense",
    backward=by_rule,
    layer="Dense(weight={other}.mT)",
    settings={"other": ...},
)
