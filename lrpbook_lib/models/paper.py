"""The two networks of Sefcik & Benesova (2021), as their public code trains them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from .spec import register_network


class PoolingCNN(nn.Module):
    """Four convolutions with pooling, one hidden layer, a logit a class.

    3 x 3 convolutions with 16, 32, 64 and 128 channels, each with ReLU and max pooling;
    a hidden layer of 64 units.

    Parameters
    ----------
    channels : int
        Channels of the input, one for each MRI sequence.
    classes : int
    size : int or (int, int)
        Height and width of the input; they set the width of the hidden layer.
    dropout : float
        Probability that an activation is dropped in training.
    """

    #: Edges of the four poolings, and behind which of them dropout stands.
    pools: ClassVar[tuple[int, ...]]
    dropped: ClassVar[tuple[int, ...]]
    #: Fewer pixels are pooled away.
    least_size: ClassVar[int]

    def __init__(
        self,
        channels: int = 3,
        classes: int = 2,
        size: int | Sequence[int] = 240,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < self.least_size:
            raise ValueError(
                f"{type(self).__name__} pools by {', '.join(map(str, self.pools))}: "
                f"size {size} leaves nothing. Use at least {self.least_size}."
            )
        layers: list[nn.Module] = []
        for i, (outside, pool) in enumerate(
            zip((16, 32, 64, 128), self.pools, strict=True)
        ):
            layers += [
                nn.Conv2d(channels, outside, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(pool),
            ]
            if i in self.dropped:
                layers.append(nn.Dropout(dropout))
            channels, height, width = outside, height // pool, width // pool
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )

    def __init_subclass__(cls) -> None:
        cls.least_size = math.prod(cls.pools)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, channels, height, width)``."""
        return self.classifier(self.features(x))


@register_network
class GliomaCNN(PoolingCNN):
    """The paper's own network: pooling by two, 1,940,834 parameters at 240 x 240 x 3.

    Dropout of 0.2 stands behind the first and the last pooling. See
    :class:`~lrpbook_lib.models.PoolingCNN` for layers and parameters.
    """

    pools = (2, 2, 2, 2)
    dropped = (0, 3)


@register_network
class SliceNet(PoolingCNN):
    """SliceNet: pooling by three, then by two; 228,706 parameters at 240 x 240 x 3.

    The slice-wise network of Banerjee et al. (2019), in the form in which the paper
    re-implemented it. Dropout of 0.2 stands at the end of the convolutions. See
    :class:`~lrpbook_lib.models.PoolingCNN` for layers and parameters.
    """

    pools = (3, 3, 3, 2)
    dropped = (3,)
