"""GP-UNet: a UNet without max pooling, read out by global pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..spec import register_network
from .head import GPNet, Pool, Trunk, Up


class DoubleConv(nn.Sequential):
    """Two 3 x 3 convolutions, each with ReLU."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(outside, outside, 3, padding=1),
            nn.ReLU(),
        )


def he_weights(module: nn.Module) -> None:
    """First weights of convolutions before a ReLU, He et al. 2015 (``he2015``)."""
    for each in module.modules():
        if isinstance(each, nn.Conv2d) and each.bias is not None:
            nn.init.kaiming_normal_(each.weight, nonlinearity="relu")
            nn.init.zeros_(each.bias)


class UNetTrunk(Trunk):
    """Down by average pooling, up again, with the features on the way down beside.

    Ronneberger et al. 2015 (``ronneberger2015``), padded, as Chatterjee et al. 2026
    (``chatterjee2026``) use it.

    Parameters
    ----------
    channels : int
    width : int
        Features of the first and of the last level; each level below has twice as many.
    depth : int
        Levels.
    up : {"bilinear", "transposed"}
        How edges are doubled: bilinear and a 1 x 1 convolution, or a transposed
        convolution. The published runs interpolate by the Fourier transform ("sinc") in
        place of bilinear, with the same parameters.
    dropout : float
        Of whole channels, on the lowest level.
    """

    def __init__(
        self,
        channels: int = 4,
        width: int = 64,
        depth: int = 3,
        up: Up = "bilinear",
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        widths = [width * 2**i for i in range(depth)]
        self.factor = 2 ** (depth - 1)
        self.down = nn.ModuleList(
            DoubleConv(inside, outside)
            for inside, outside in zip([channels, *widths], widths, strict=False)
        )
        self.pool = nn.AvgPool2d(2)
        self.dropout = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(_doubling(2 * w, w, up) for w in widths[-2::-1])
        self.merge = nn.ModuleList(DoubleConv(2 * w, w) for w in widths[-2::-1])

    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, width, H, W)``."""
        beside = []
        for block in self.down[:-1]:
            x = block(x)
            beside.append(x)
            x = self.pool(x)
        x = self.dropout(self.down[-1](x))
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), beside.pop()], 1))
        return x


def _doubling(inside: int, outside: int, up: Up) -> nn.Module:
    if up == "transposed":
        return nn.ConvTranspose2d(inside, outside, 2, stride=2)
    if up == "bilinear":
        enlarged = nn.Upsample(scale_factor=2, mode="bilinear")
        return nn.Sequential(enlarged, nn.Conv2d(inside, outside, 1))
    raise ValueError(f'up is {up!r}; it takes "bilinear" or "transposed".')


@register_network
class GPUNet(GPNet):
    """GP-UNet of Chatterjee et al. 2026 (``chatterjee2026``).

    1,740,675 parameters as it stands, counted in the authors' code at the settings of
    their runs; 1,863,555 with transposed convolutions, that code's default. Ten
    convolutions without a norm: with torch's own first weights, which each of them
    shrinks, a narrow one hardly begins to learn under max pooling. The first weights
    of the trunk are therefore those of He et al. 2015 (``he2015``).

    Parameters
    ----------
    channels, width, depth, up, dropout
        Of the :class:`UNetTrunk`.
    classes, pool, sharpness
        Of the head, see :class:`~lrpbook_lib.models.GlobalPooling`.
    """

    def __init__(
        self,
        channels: int = 4,
        classes: int = 3,
        width: int = 64,
        depth: int = 3,
        up: Up = "bilinear",
        dropout: float = 0.5,
        pool: Pool = "max",
        sharpness: float = 5.0,
    ) -> None:
        trunk = UNetTrunk(channels, width, depth, up, dropout)
        he_weights(trunk)
        super().__init__(trunk, width, classes, pool, sharpness)
