"""Linear layers, convolutions and products with a constant matrix: a rule applies."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from ...layers import Dense, conv, conv_transposed
from ..rows import called, of, row, word

for function in (Dense, conv, conv_transposed):
    word(function)


_DENSE = ("weight", "bias")
_CONV = (*_DENSE, "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_DENSE, "stride", "padding", "output_padding", "groups", "dilation")

_CONVOLUTIONS = of(nn, "Conv?d", "ConvTranspose?d")
row(nn.Linear, kind="dense", affine=True, layer="{module}")
row(*_CONVOLUTIONS, kind="conv", affine=True, layer="{module}")
for kind, functions, view, names in (
    ("dense", "linear", "Dense", _DENSE),
    ("conv", "conv?d", "conv", _CONV),
    ("conv", "conv_transpose?d", "conv_transposed", _TRANSPOSED),
):
    given = {"layer": view + "({settings})", "settings": dict.fromkeys(names)}
    row(*of(F, functions), kind=kind, affine=True, **given)
_PRODUCT = {"layer": "Dense(weight={other}.mT)", "settings": {"other": ...}}
row(*called("matmul"), kind="dense", **_PRODUCT)
