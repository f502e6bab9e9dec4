"""Augmentation: one random transform for an image and its masks alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset, default_collate


@dataclass(frozen=True)
class Augment:
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
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
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
        """
        b, c, *space = image.shape
        h, w = space[-2:]

        def draw(*shape: int) -> torch.Tensor:
            if not isinstance(generator, Sequence):
                return torch.rand(*shape, generator=generator) * 2 - 1
            each = [torch.rand(1, *shape[1:], generator=own) for own in generator]
            return torch.cat(each) * 2 - 1

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
    """A dataset seen through :class:`Augment`.

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
    """

    def __init__(self, slices: Dataset, augment: Augment, seed: int = 0):
        self.slices, self.augment, self.seed, self.epoch = slices, augment, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; call it before the loader starts one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.slices)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Mapping[str, torch.Tensor]:
        return {k: v[0] for k, v in self.batch([index]).items()}

    def batch(self, positions: Sequence[int]) -> Mapping[str, torch.Tensor]:
        """The items at these positions, stacked: read at once where that can be."""
        slices: Any = self.slices
        if hasattr(slices, "batch"):
            items = slices.batch(positions)
        else:
            items = default_collate([slices[i] for i in positions])
        words = [
            np.random.SeedSequence([self.seed, self.epoch, index]).generate_state(1)
            for index in items["index"].tolist()
        ]
        image, tumor, brain = self.augment(
            items["image"],
            items["tumor"],
            items["brain"],
            [torch.Generator().manual_seed(int(word[0])) for word in words],
        )
        return {**items, "image": image, "tumor": tumor, "brain": brain}
