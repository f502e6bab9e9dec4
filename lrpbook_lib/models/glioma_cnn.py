"""The network of Sefcik & Benesova (2021)."""

from __future__ import annotations

from torch import Tensor, nn


class GliomaCNN(nn.Module):
    """Four convolutions with pooling, one hidden layer, two logits.

    As in the paper's public code: 3 x 3 convolutions with 16, 32, 64 and 128 channels,
    each with ReLU and 2 x 2 max pooling, dropout 0.2 behind the first and the last
    pooling, a hidden layer of 64 units. 1,940,834 parameters at 240 x 240 x 3.

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
        if min(height, width) < 16:
            raise ValueError(
                f"GliomaCNN pools four times by two: size {size} leaves nothing. "
                "Use at least 16."
            )
        layers: list[nn.Module] = []
        inside = channels
        for i, outside in enumerate((16, 32, 64, 128)):
            layers += [
                nn.Conv2d(inside, outside, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
            if i in (0, 3):
                layers.append(nn.Dropout(dropout))
            inside = outside
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(128 * (height // 16) * (width // 16), 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, channels, height, width)``."""
        return self.classifier(self.features(x))
