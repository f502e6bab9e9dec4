"""Augmentation: one random transform for an image and its masks alike."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset, default_collate

Generators = torch.Generator | Sequence[torch.Generator] | None
Parts = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

#: The transforms by name, but for :class:`Augment`, which goes without one: each class
#: puts itself here, one's own too.
TRANSFORMS: dict[str, type["Transform"]] = {}


class Transform(ABC):
    """What happens to images and masks on the way in, to each sample in its own way.

    Attributes
    ----------
    donors : bool
        Whether it wants a sample of another patient beside each.
    """

    donors: ClassVar[bool] = False

    def __init_subclass__(cls, named: bool = True) -> None:
        if named:
            TRANSFORMS[cls.__name__] = cls

    @abstractmethod
    def __call__(
        self,
        image: torch.Tensor,
        tumor: torch.Tensor,
        brain: torch.Tensor,
        generator: Generators = None,
        *donors: torch.Tensor,
    ) -> Parts:
        """Transform a batch, each sample in its own way.

        Parameters
        ----------
        image
            ``(B, C, H, W)`` or ``(B, C, D, H, W)`` float.
        tumor, brain
            ``(B, H, W)`` or ``(B, D, H, W)``, of any dtype, which is kept.
        generator
            Source of randomness, on the CPU, or one for each sample; default torch's
            own.
        *donors
            The same three of other patients, where it wants them.
        """


def uniform(generator: Generators, samples: int, *shape: int) -> torch.Tensor:
    """Numbers from 0 to 1, ``(samples, *shape)``, of each sample's own generator."""
    if not isinstance(generator, Sequence):
        return torch.rand(samples, *shape, generator=generator)
    return torch.cat([torch.rand(1, *shape, generator=own) for own in generator])


@dataclass(frozen=True)
class Augment(Transform, named=False):
    """Random rotation, scaling, shift, left-right flip and brightness.

    Volumes are turned in the plane of their last two axes, as slices are.

    Images are interpolated linearly; masks take their nearest neighbor, so that a
    label stays a label and borders do not grow.

    Attributes
    ----------
    degrees
        Largest rotation.
    scale
        Largest relative change of size.
    shift
        Largest shift as a share of the image's edge.
    flip
        Probability of a left-right flip.
    brightness
        Largest relative change of intensity, per channel.
    """

    degrees: float = 15.0
    scale: float = 0.08
    shift: float = 0.04
    flip: float = 0.5
    brightness: float = 0.1

    def __call__(
        self,
        image: torch.Tensor,
        tumor: torch.Tensor,
        brain: torch.Tensor,
        generator: Generators = None,
        *donors: torch.Tensor,
    ) -> Parts:
        """Transform a batch, each sample in its own way."""
        b, c, *space = image.shape
        h, w = space[-2:]

        def draw(*shape: int) -> torch.Tensor:
            return uniform(generator, *shape) * 2 - 1

        angle = torch.deg2rad(draw(b) * self.degrees)
        size = 1 + draw(b) * self.scale
        mirror = torch.where(draw(b) < 2 * self.flip - 1, -1.0, 1.0)
        shift = draw(b, len(space)) * 2 * self.shift
        gain = 1 + draw(b, c, *[1] * len(space)) * self.brightness
        cos, sin = torch.cos(angle) / size, torch.sin(angle) / size
        # Rows of the inverse map in (x, y, z); the ratio keeps rotations rigid on
        # images that are not square.
        theta = torch.diag_embed((1 / size)[:, None].expand(b, len(space)))
        theta[:, 0, 0], theta[:, 0, 1] = mirror * cos, -mirror * sin * h / w
        theta[:, 1, 0], theta[:, 1, 1] = sin * w / h, cos
        theta = torch.cat([theta, shift[..., None]], 2).to(image.device, image.dtype)
        where = F.affine_grid(theta, list(image.shape), align_corners=False)
        moved = F.grid_sample(image, where, align_corners=False)
        masks = torch.stack([tumor.to(image.dtype), brain.to(image.dtype)], 1)
        masks = F.grid_sample(masks, where, mode="nearest", align_corners=False)
        inside = masks[:, 1].round().to(brain.dtype)
        bright = moved * gain.to(image.device, image.dtype)
        bright = bright * inside[:, None].to(image.dtype)  # no faint seam outside
        return bright, masks[:, 0].round().to(tumor.dtype), inside


class Augmented(Dataset):
    """A dataset seen through :class:`Augment`, or another transform.

    What happens to a sample depends on the seed, the epoch and its position alone:
    not on the number of loader workers, nor on the order of reading.

    Parameters
    ----------
    slices
        A :class:`~lrpbook_lib.data.SliceSet`.
    augment
        The transform.
    seed
        Every random choice follows from it.
    patient
        Whose each sample is; default what the slices tell, or each its own.
    """

    def __init__(
        self,
        slices: Dataset,
        augment: Transform,
        seed: int = 0,
        patient: Sequence[str] | np.ndarray | None = None,
    ):
        self.slices, self.augment, self.seed, self.epoch = slices, augment, seed, 0
        self.patient = getattr(slices, "patient", None) if patient is None else patient

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; call it before the loader starts one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.slices)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Mapping[str, torch.Tensor]:
        return {k: v[0] for k, v in self.batch([index]).items()}

    def batch(self, positions: Sequence[int]) -> Mapping[str, torch.Tensor]:
        """The items at these positions, stacked: read at once where that can be."""
        items = self._items(positions)
        index = items["index"].tolist()
        words = [
            np.random.SeedSequence([self.seed, self.epoch, i]).generate_state(2)
            for i in index
        ]
        each = [torch.Generator().manual_seed(int(own)) for own, _ in words]
        donors: list[torch.Tensor] = []
        if self.augment.donors:
            drawn = [
                self._other(i, int(word))
                for i, (_, word) in zip(index, words, strict=True)
            ]
            others = self._items(drawn)
            donors = [others[name] for name in ("image", "tumor", "brain")]
        image, tumor, brain = self.augment(
            items["image"], items["tumor"], items["brain"], each, *donors
        )
        return {**items, "image": image, "tumor": tumor, "brain": brain}

    def _items(self, positions: Sequence[int]) -> Mapping[str, torch.Tensor]:
        slices: Any = self.slices
        if hasattr(slices, "batch"):
            return slices.batch(positions)
        return default_collate([slices[i] for i in positions])

    @cached_property
    def _owner(self) -> np.ndarray:
        """A number for whose each sample is."""
        if self.patient is None:
            return np.arange(len(self))
        return np.unique(np.asarray(self.patient), return_inverse=True)[1]

    def _other(self, index: int, word: int) -> int:
        """Position of a sample of another patient, drawn from all of them."""
        others = np.flatnonzero(self._owner != self._owner[index])
        if not len(others):
            raise ValueError(
                f"{type(self.augment).__name__} wants samples of other patients, and "
                "all are of one."
            )
        return int(others[word % len(others)])
