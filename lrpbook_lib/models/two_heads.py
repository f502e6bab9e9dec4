"""The paper's network with a second head, for what else training may ask of features.

Called, they are :class:`~lrpbook_lib.models.GliomaCNN`: the second head answers to a
method of its own, and to nobody after training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .paper import GliomaCNN
from .spec import register_network


@register_network
class SegmentedCNN(GliomaCNN):
    """GliomaCNN with a segmentation head on its last convolution.

    A 1 x 1 convolution from the 128 features before the last pooling, at an eighth of
    the edge of the image, enlarged linearly: all convolutions are shared by the two
    tasks. See :class:`~lrpbook_lib.models.PoolingCNN` for the parameters.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 2,
        size: int | Sequence[int] = 240,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(channels, classes, size, dropout)
        self.segmentation = nn.Conv2d(128, 1, 1)

    def own_map(self, x: Tensor, target: Any = None) -> tuple[Tensor, Tensor]:
        """Logits ``(B, classes)``, and logits of a tumor in each pixel.

        The latter are ``(B, 1, H, W)``, whatever the target.
        """
        layers = list(self.features)
        pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
        shared = self.features[: pools[-1]](x)
        logits = self.classifier(self.features[pools[-1] :](shared))
        said = F.interpolate(self.segmentation(shared), x.shape[2:], mode="bilinear")
        return logits, said


@register_network
class AdversarialCNN(GliomaCNN):
    r"""GliomaCNN with a head that tells the site, and features that hide it.

    The domain-adversarial network of Ganin et al. 2016 (``ganin2016``): between the
    convolutions and a site classifier, of one hidden layer of 64 units, lies a gradient
    reversal, :math:`\rho(f) = f,\; \partial \rho / \partial f = -1`. What makes the
    head better makes the features worse for it.

    Parameters
    ----------
    channels, classes, size, dropout
        See :class:`~lrpbook_lib.models.PoolingCNN`.
    sites : int
        How many there are among the samples of the training.
    """

    def __init__(
        self,
        channels: int = 3,
        classes: int = 2,
        size: int | Sequence[int] = 240,
        dropout: float = 0.2,
        sites: int = 7,
    ) -> None:
        super().__init__(channels, classes, size, dropout)
        hidden: Any = self.classifier[1]
        self.sites = nn.Sequential(
            nn.Flatten(),
            nn.Linear(hidden.in_features, 64),
            nn.ReLU(),
            nn.Linear(64, sites),
        )

    def with_sites(self, x: Tensor, target: Any = None) -> tuple[Tensor, Tensor]:
        """Logits ``(B, classes)``, and logits of the sites ``(B, sites)``."""
        features = self.features(x)
        return self.classifier(features), self.sites(Reversed.apply(features))


class Reversed(torch.autograd.Function):
    """The same, with a gradient of the other sign."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The same."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient of the other sign."""
        return -gradient
