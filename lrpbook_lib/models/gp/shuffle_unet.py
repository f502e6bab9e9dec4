"""GP-ShuffleUNet: pixels become channels on the way down, and pixels again."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..spec import register_network
from .head import GPNet, Pool, Trunk
from .unet import DoubleConv, he_weights


class Waves(nn.Sequential):
    """Four 3 x 3 convolutions side by side with ReLU, as in a wavelet transform."""

    def __init__(self, features: int) -> None:
        # One convolution with four times the channels is the same as four.
        conv = nn.Conv2d(features, 4 * features, 3, padding=1)
        super().__init__(conv, nn.ReLU())


class WavesDown(nn.Module):
    """Half the size, twice the features; the last of the four waves goes on.

    Parameters
    ----------
    features : int
        Channels of the input.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.start = 3 * features
        self.waves = Waves(features)
        self.shrink = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * features, features, 3, padding=1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            nn.BatchNorm2d(features),
            nn.ReLU(),
        )
        self.conv = DoubleConv(features, 2 * features)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The level below ``(B, 2 F, H/2, W/2)``, and the waves ``(B, 4 F, H, W)``."""
        waves = self.waves(x)
        return self.conv(self.shrink(waves[:, self.start :])), waves


class WavesUp(nn.Module):
    """Twice the size, half the features; waves meet the waves of the way down.

    Parameters
    ----------
    features : int
        Channels of the output.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(
            nn.Conv2d(2 * features, 4 * features, 3, padding=1), nn.PixelShuffle(2)
        )
        self.waves = Waves(features)
        self.conv = DoubleConv(5 * features, features)

    def forward(self, x: Tensor, beside: Tensor, waves: Tensor) -> Tensor:
        """The level above ``(B, F, 2 H, 2 W)``."""
        waves = self.waves(self.grow(x)) + waves
        return self.conv(torch.cat([beside, waves], 1))


class ShuffleUNetTrunk(Trunk):
    """A UNet whose levels are joined by pixel shuffling and by four waves.

    Chatterjee et al. 2021 (``chatterjee2021shuffle``), as Chatterjee et al. 2026
    (``chatterjee2026``) use it in two dimensions.

    Parameters
    ----------
    channels : int
    width : int
        Features of the first and of the last level; each level below has twice as many.
    depth : int
        How often the size is halved.
    dropout : float
        Of whole channels, on the lowest level.
    """

    def __init__(
        self,
        channels: int = 4,
        width: int = 64,
        depth: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.factor = 2**depth
        widths = [width * 2**i for i in range(depth)]
        self.start = DoubleConv(channels, width)
        self.down = nn.ModuleList(WavesDown(w) for w in widths)
        self.dropout = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(WavesUp(w) for w in reversed(widths))
        he_weights(self)

    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, width, H, W)``."""
        x = self.start(x)
        kept = []
        for down in self.down:
            below, waves = down(x)
            kept.append((x, waves))
            x = below
        x = self.dropout(x)
        for up in self.up:
            x = up(x, *kept.pop())
        return x


@register_network
class GPShuffleUNet(GPNet):
    """GP-ShuffleUNet of Chatterjee et al. 2026 (``chatterjee2026``).

    26,371,587 parameters as it stands, counted in the authors' code at the settings
    of their runs.

    Parameters
    ----------
    channels, width, depth, dropout
        Of the :class:`ShuffleUNetTrunk`.
    classes, pool, sharpness
        Of the head, see :class:`~lrpbook_lib.models.GlobalPooling`.
    """

    def __init__(
        self,
        channels: int = 4,
        classes: int = 3,
        width: int = 64,
        depth: int = 3,
        dropout: float = 0.5,
        pool: Pool = "max",
        sharpness: float = 5.0,
    ) -> None:
        trunk = ShuffleUNetTrunk(channels, width, depth, dropout)
        super().__init__(trunk, width, classes, pool, sharpness)
