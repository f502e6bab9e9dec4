"""The three-dimensional network of Graz+ (Tinauer et al. 2022)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .spec import register_network


class NonPositive(nn.Module):
    r"""A bias that cannot be positive, as a function of a free parameter.

    .. math:: b = -|\beta|, \qquad \partial b / \partial \beta = 1
        \text{ where } \beta \le 0

    It holds after every step of every optimizer, since the optimizer never sees
    :math:`b`. Where :math:`\beta \le 0` it is the identity, so a bias that starts at
    zero, as published, learns as any other. The authors put a bias that a step has
    made positive back to zero (a constraint of Keras); here such a step is reflected
    instead, which differs by less than that step. Cutting it off inside the function
    would freeze it: behind the bound, the gradient is zero for ever.
    """

    def forward(self, free: Tensor) -> Tensor:
        """The bias of a free parameter."""
        return torch.where(free > 0, -free, free)

    def right_inverse(self, bias: Tensor) -> Tensor:
        """The free parameter of a bias: itself."""
        if bool((bias > 0).any()):
            raise ValueError(
                f"A bias of GrazNet is at most zero; the one given reaches "
                f"{float(bias.max()):.3g}."
            )
        return bias


@register_network
class GrazNet(nn.Module):
    r"""Four blocks of two convolutions, one hidden layer, logits; no bias above zero.

    A block is a convolution, ReLU, a convolution of stride two, ReLU: both
    :math:`3^3` with the same few filters. There is no pooling and no normalization. As
    no bias is positive (see :class:`NonPositive`), the z-plus rule loses nothing to
    one:

    .. math::

        R_i = \sum_j \frac{a_i w_{ij}^+}{\sum_{i'} a_{i'} w_{i'j}^+ + b_j^+} R_j,
        \qquad b_j^+ = 0 \;\Rightarrow\; \sum_i R_i = \sum_j R_j

    Tinauer et al. 2022 (``tinauer2022``), 327,818 parameters at their
    176 x 224 x 256. It departs from their code in two places: a convolution of stride
    two pads both sides by one (TensorFlow pads an even edge behind only), and the
    softmax is left to the loss and to the start of LRP.

    Parameters
    ----------
    channels : int
    classes : int
    size : (int, int, int)
        Edges of the input; they set the width of the hidden layer. Each block halves
        them, rounded up.
    filters : int
        Channels of every convolution.
    hidden : int
        Units of the hidden layer.

    Examples
    --------
    Relevance as published: z-plus everywhere, from all of the softmax at once.

    >>> explainer = Explainer(GrazNet(size=(46, 55, 46)), "zplus", start="softmax")
    """

    #: Edges to try it out at: one voxel is left of them.
    least_size: ClassVar[tuple[int, ...]] = (16, 16, 16)
    biased: ClassVar[bool] = True

    def __init__(
        self,
        channels: int = 1,
        classes: int = 2,
        size: Sequence[int] = (176, 224, 256),
        filters: int = 8,
        hidden: int = 16,
    ) -> None:
        super().__init__()
        if len(size) != 3 or min(size) < 1:
            raise ValueError(
                f"GrazNet takes volumes: size has three edges, not {tuple(size)}."
            )
        layers: list[nn.Module] = []
        for _ in range(4):
            layers += [
                nn.Conv3d(channels, filters, 3, padding=1, bias=self.biased),
                nn.ReLU(),
                nn.Conv3d(filters, filters, 3, 2, padding=1, bias=self.biased),
                nn.ReLU(),
            ]
            channels = filters
        self.features = nn.Sequential(*layers)
        left = math.prod(math.ceil(edge / 16) for edge in size)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(filters * left, hidden, bias=self.biased),
            nn.ReLU(),
            nn.Linear(hidden, classes, bias=self.biased),
        )
        for layer in (*self.features, *self.classifier):
            if isinstance(layer, nn.Conv3d | nn.Linear):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
                    parametrize.register_parametrization(layer, "bias", NonPositive())

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of volumes ``(B, channels, *size)``."""
        return self.classifier(self.features(x))


@register_network
class GrazNetUnbiased(GrazNet):
    """The same without any bias, which keeps every bias at the bound of the other.

    On small volumes the biases of :class:`GrazNet`, which can only fall, close one ReLU
    after the other while relevance is guided, until nothing is left open: the network
    is dead. Without them it keeps learning.
    """

    biased: ClassVar[bool] = False
