"""SliceNet, as re-implemented by Sefcik & Benesova (2021)."""

from __future__ import annotations

from torch import Tensor, nn


class SliceNet(nn.Module):
    """Four convolutions with wide pooling, one hidden layer, two logits.

    SliceNet is the slice-wise network of Banerjee et al. (2019); this is the form in
    which the paper's public code trains it: 3 x 3 convolutions with 16, 32, 64 and 128
    channels, each with ReLU, the first three with 3 x 3 max pooling and the last with
    2 x 2, dropout 0.2, a hidden layer of 64 units. 228,706 parameters at 240 x 240 x 3.

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

    def __init__(
        self,
        channels: int = 3,
        classes: int = 2,
        size: int | tuple[int, int] = 240,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        height, width = (size, size) if isinstance(size, int) else size
        if min(height, width) < 54:
            raise ValueError(
                f"SliceNet pools three times by three and once by two: size {size} "
                "leaves nothing. Use at least 54."
            )
        layers: list[nn.Module] = []
        inside = channels
        for outside, pool in ((16, 3), (32, 3), (64, 3), (128, 2)):
            layers += [
                nn.Conv2d(inside, outside, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(pool),
            ]
            inside = outside
            height, width = height // pool, width // pool
        self.features = nn.Sequential(*layers, nn.Dropout(dropout))
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * height * width, 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, channels, height, width)``."""
        return self.classifier(self.features(x))
