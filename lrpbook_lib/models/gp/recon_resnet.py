"""GP-ReconResNet: a residual network that reconstructs, read out by global pooling."""

from __future__ import annotations

from torch import Tensor, nn

from ..spec import register_network
from .head import GPNet, Pool, Trunk, Up


class Normed(nn.Sequential):
    """A convolution, instance norm, PReLU."""

    def __init__(self, conv: nn.Module, outside: int) -> None:
        super().__init__(conv, nn.InstanceNorm2d(outside), nn.PReLU())


class Residual(nn.Module):
    """Two reflecting 3 x 3 convolutions with instance norm, added to their input."""

    def __init__(self, features: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Normed(_reflecting(features, features, 3), features),
            nn.Dropout2d(dropout),
            _reflecting(features, features, 3),
            nn.InstanceNorm2d(features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``x`` and what the body makes of it."""
        return x + self.body(x)


class ReconResNetTrunk(Trunk):
    """Down by strides, residual blocks, up again; no skips around the middle.

    Chatterjee et al. 2022 (``chatterjee2022reconresnet``), as Chatterjee et al. 2026
    (``chatterjee2026``) use it.

    Parameters
    ----------
    channels : int
    width : int
        Features of the first and of the last level; each level below has twice as many.
    depth : int
        How often the size is halved.
    blocks : int
        Residual blocks on the lowest level.
    up : {"bilinear", "transposed"}
        How edges are doubled: bilinear and a 3 x 3 convolution, or a transposed
        convolution. The published runs interpolate by the Fourier transform ("sinc") in
        place of bilinear, with the same parameters.
    dropout : float
        Of whole channels, inside each residual block.
    """

    def __init__(
        self,
        channels: int = 4,
        width: int = 64,
        depth: int = 2,
        blocks: int = 14,
        up: Up = "bilinear",
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.factor = 2**depth
        layers: list[nn.Module] = [Normed(_reflecting(channels, width, 7), width)]
        for _ in range(depth):
            conv = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
            width *= 2
            layers.append(Normed(conv, width))
        layers += [Residual(width, dropout) for _ in range(blocks)]
        for _ in range(depth):
            width //= 2
            layers.append(Normed(_doubling(2 * width, width, up), width))
        self.layers = nn.Sequential(*layers)

    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, width, H, W)``."""
        return self.layers(x)


def _reflecting(inside: int, outside: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(
        inside, outside, kernel, padding=kernel // 2, padding_mode="reflect"
    )


def _doubling(inside: int, outside: int, up: Up) -> nn.Module:
    if up == "transposed":
        return nn.ConvTranspose2d(inside, outside, 3, 2, 1, output_padding=1)
    if up == "bilinear":
        enlarged = nn.Upsample(scale_factor=2, mode="bilinear")
        return nn.Sequential(enlarged, _reflecting(inside, outside, 3))
    raise ValueError(f'up is {up!r}; it takes "bilinear" or "transposed".')


@register_network
class GPReconResNet(GPNet):
    """GP-ReconResNet of Chatterjee et al. 2026 (``chatterjee2026``).

    17,272,918 parameters as it stands, counted in the authors' code at the settings
    of their runs.

    Parameters
    ----------
    channels, width, depth, blocks, up, dropout
        Of the :class:`ReconResNetTrunk`.
    classes, pool, sharpness
        Of the head, see :class:`~lrpbook_lib.models.GlobalPooling`.
    """

    def __init__(
        self,
        channels: int = 4,
        classes: int = 3,
        width: int = 64,
        depth: int = 2,
        blocks: int = 14,
        up: Up = "bilinear",
        dropout: float = 0.2,
        pool: Pool = "max",
        sharpness: float = 5.0,
    ) -> None:
        trunk = ReconResNetTrunk(channels, width, depth, blocks, up, dropout)
        super().__init__(trunk, width, classes, pool, sharpness)
