"""Backgrounds erased or swapped, scanners drawn at random: transforms for training.

What people try who have masks, or who know that scanners differ, before they look at
any relevance.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch

from .augment import Augment, Generators, Parts, Transform, uniform


@dataclass(frozen=True)
class Sometimes(Transform, named=False):
    """What happens to a share of the samples.

    Attributes
    ----------
    share
        Probability that it happens to a sample.
    after
        What happens to every sample before; None for nothing.
    masked : bool
        Whether it takes a tumor mask to know what to do: a sample without one stays.
    """

    share: float = 0.5
    after: Augment | None = None
    masked: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share} lies outside 0 to 1.")

    def __call__(
        self,
        image: torch.Tensor,
        tumor: torch.Tensor,
        brain: torch.Tensor,
        generator: Generators = None,
        *donors: torch.Tensor,
    ) -> Parts:
        """Transform a batch, each sample in its own way."""
        parts = image, tumor, brain
        if self.after is not None:
            parts = self.after(*parts, generator)
        chosen = uniform(generator, len(image)) < self.share
        if self.masked:
            chosen &= (parts[1] > 0).flatten(1).any(1)
        rows = chosen.nonzero().flatten()
        if not len(rows):
            return parts
        if isinstance(generator, Sequence):
            generator = [generator[i] for i in rows]
        image, tumor, brain = (part[rows] for part in parts)
        others = (donor[rows] for donor in donors)
        changed = self.change(image, tumor, brain, generator, *others)
        for part, new in zip(whole := [p.clone() for p in parts], changed, strict=True):
            part[rows] = new
        return whole[0], whole[1], whole[2]

    @abstractmethod
    def change(
        self,
        image: torch.Tensor,
        tumor: torch.Tensor,
        brain: torch.Tensor,
        generator: Generators,
        *donors: torch.Tensor,
    ) -> Parts:
        """What becomes of samples that it happens to."""


@dataclass(frozen=True)
class EraseBackground(Sometimes):
    """Zero everywhere but in the tumor, in a share of the samples.

    The others keep what surrounds the tumor: the network is to manage both.
    """

    def change(self, image: Any, tumor: Any, brain: Any, *rest: Any) -> Parts:
        """Images of nothing but the tumor."""
        return image * (tumor > 0)[:, None], tumor, brain


@dataclass(frozen=True)
class SwapBackground(Sometimes):
    r"""The tumor before the brain of another patient, in a share of the samples.

    .. math:: x' = M x + (1 - M) \, \tilde d, \qquad B' = M \cup B_d

    with d an image of another patient, of any class and site, whose own tumor has been
    filled with the mean of the brain around it, channel by channel: a second tumor
    would be of another grade. Tumor and label stay; what surrounds the tumor tells
    nothing of them any more. After the backgrounds mixed at random of Xiao et al. 2021
    (``xiao2021``).
    """

    donors: ClassVar[bool] = True

    def change(self, image: Any, tumor: Any, brain: Any, *rest: Any) -> Parts:
        """Images of the tumor in another brain."""
        _, other, other_tumor, other_brain = rest
        healthy = ((other_brain > 0) & (other_tumor == 0))[:, None]
        axes = tuple(range(2, image.ndim))
        count = healthy.sum(axes, keepdim=True).clamp(min=1)
        mean = (other * healthy).sum(axes, keepdim=True) / count
        filled = torch.where((other_tumor > 0)[:, None], mean, other)
        behind = filled * (other_brain > 0)[:, None]
        inside = tumor > 0
        made = torch.where(inside[:, None], image, behind)
        return made, tumor, ((other_brain > 0) | inside).to(brain.dtype)


@dataclass(frozen=True)
class RandomizeScanner(Sometimes):
    """Another scanner for a share of the samples: bias field, gamma, blur and noise.

    By TorchIO (Pérez-García et al. 2021, ``perezgarcia2021``), where slices are volumes
    of one voxel's thickness. At 64 pixels it takes TorchIO about 3 ms, more than a
    plain training takes for a sample: where there are cores to spare, let processes
    that load share it, ``Hardware(workers=...)``.

    Attributes
    ----------
    bias
        Largest coefficient of the bias field's polynomial, which is of third order.
    gamma
        Largest logarithm of the exponent of intensities.
    blur
        Largest standard deviation, in pixels.
    noise
        Largest standard deviation, in units of the image.
    """

    bias: float = 0.3
    gamma: float = 0.3
    blur: float = 1.0
    noise: float = 0.05
    masked: ClassVar[bool] = False

    @cached_property
    def scanner(self) -> Any:
        """The transform of TorchIO."""
        import torchio as tio  # seconds, which others need not wait

        return tio.Compose(
            [
                tio.RandomBiasField(self.bias),
                tio.RandomGamma(self.gamma),
                tio.RandomBlur((0, self.blur)),
                tio.RandomNoise(0, (0, self.noise)),
            ]
        )

    def change(
        self, image: Any, tumor: Any, brain: Any, generator: Generators, *rest: Any
    ) -> Parts:
        """Images as other scanners would make them; zero outside the brain."""
        seeds = (uniform(generator, len(image)).double() * 2**31).long().tolist()
        made = torch.stack(list(map(self._scanned, image, seeds)))
        return made * (brain > 0)[:, None], tumor, brain

    def _scanned(self, image: torch.Tensor, seed: int) -> torch.Tensor:
        volume = image if image.ndim == 4 else image[..., None]
        with torch.random.fork_rng(devices=[]):  # TorchIO draws torch's own numbers
            torch.manual_seed(seed)
            return self.scanner(volume).reshape(image.shape)
