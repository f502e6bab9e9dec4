"""DenseNet (Huang et al. 2017), small enough to read and to train on a CPU."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .spec import register_network


class DenseLayer(nn.Sequential):
    r"""Norm, ReLU, convolution, twice; what goes in stands before what comes out.

    .. math:: x \mapsto [x, \; W_2 * \mathrm{ReLU}(N_2(W_1 * \mathrm{ReLU}(N_1(x))))]

    Parameters
    ----------
    inside : int
        Channels of the input.
    growth : int
        Channels that are added.
    bottleneck : int
        The 1 x 1 convolution :math:`W_1` has ``bottleneck * growth`` channels.
    dropout : float
    """

    def __init__(
        self, inside: int, growth: int, bottleneck: int, dropout: float
    ) -> None:
        middle = bottleneck * growth
        layers: dict[str, nn.Module] = {
            "norm1": nn.BatchNorm2d(inside),
            "relu1": nn.ReLU(),
            "conv1": nn.Conv2d(inside, middle, 1, bias=False),
            "norm2": nn.BatchNorm2d(middle),
            "relu2": nn.ReLU(),
            "conv2": nn.Conv2d(middle, growth, 3, padding=1, bias=False),
        }
        if dropout > 0:
            layers["drop"] = nn.Dropout(dropout)
        super().__init__(OrderedDict(layers))

    def forward(self, x: Tensor) -> Tensor:
        """From ``(B, inside, H, W)`` to ``(B, inside + growth, H, W)``."""
        return torch.cat([x, super().forward(x)], 1)


@register_network
class DenseNet(nn.Module):
    """Blocks in which every layer sees the outputs of all layers before it.

    Huang et al. 2017 (``huang2017``). Between two blocks a transition halves channels
    and edges. As it stands, this is DenseNet-121 (7,978,856 parameters with 1000
    classes), and loads its weights under the names that torchvision gives them, in
    files old and new; the smaller ones are settings.

    Parameters
    ----------
    channels : int
    classes : int
    growth : int
        Channels that each layer adds.
    blocks : sequence of int
        Layers of each block; ``(6, 12, 24, 16)`` is the 121.
    width : int
        Channels of the stem.
    bottleneck : int
    dropout : float
        Behind each layer of a block.
    small : bool
        A stem of one 3 x 3 convolution that keeps the size, for images of less than
        about a hundred pixels. The usual one, 7 x 7 and pooling, divides it by four.

    Notes
    -----
    For LRP: the norms inside the layers that follow a convolution, and that of the
    stem, fold into it. All others stand behind a concatenation, in front of a ReLU, and
    have a rule of their own; the composites' is
    :class:`~lrpbook_lib.lrp.Pass`, which takes the norm as a unit's own business and
    loses nothing.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 2,
        growth: int = 32,
        blocks: Sequence[int] = (6, 12, 24, 16),
        width: int = 64,
        bottleneck: int = 4,
        dropout: float = 0.0,
        small: bool = False,
    ) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small else (7, 2)
        layers: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(
                channels, width, kernel, stride, kernel // 2, bias=False
            ),
            "norm0": nn.BatchNorm2d(width),
            "relu0": nn.ReLU(),
        }
        if not small:
            layers["pool0"] = nn.MaxPool2d(3, 2, 1)
        for i, depth in enumerate(blocks, start=1):
            block = {}
            for j in range(1, depth + 1):
                name = f"denselayer{j}"
                block[name] = DenseLayer(width, growth, bottleneck, dropout)
                width += growth
            layers[f"denseblock{i}"] = nn.Sequential(OrderedDict(block))
            if i < len(blocks):
                layers[f"transition{i}"] = _transition(width, width // 2)
                width //= 2
        layers[f"norm{len(blocks) + 1}"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(OrderedDict(layers))
        self.classifier = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)
        self.register_load_state_dict_pre_hook(_rename)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, channels, height, width)``."""
        return self.classifier(self.features(x).relu().mean((2, 3)))


def _transition(inside: int, outside: int) -> nn.Sequential:
    """Half the channels at half the size."""
    layers: dict[str, nn.Module] = {
        "norm": nn.BatchNorm2d(inside),
        "relu": nn.ReLU(),
        "conv": nn.Conv2d(inside, outside, 1, bias=False),
        "pool": nn.AvgPool2d(2),
    }
    return nn.Sequential(OrderedDict(layers))


def _rename(module: nn.Module, state: dict[str, Any], *rest: Any) -> None:
    """Old weight files say ``denselayer1.norm.1``, today's names ``norm1``."""
    for key in list(state):
        new = re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d\.)", r"\1\2", key)
        state[new] = state.pop(key)
