"""A small network that outlines tumors: what a practitioner would train on masks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count, islice

import numpy as np
import torch
from torch import Tensor, nn

from lrpbook_lib.data import Augment, SliceSet
from lrpbook_lib.guidance.segmentation import segmentation_loss
from lrpbook_lib.models import UNetTrunk

from .batches import TrainLoader


@dataclass(frozen=True)
class Segmenter:
    """How a small UNet is trained to outline tumors on slices.

    Ronneberger et al. 2015 (``ronneberger2015``), with few features. Adam on cross
    entropy and Dice (:func:`~lrpbook_lib.guidance.segmentation.segmentation_loss`), the
    learning rate falling as a cosine to zero, slices augmented.

    Attributes
    ----------
    width, depth
        Of the :class:`~lrpbook_lib.models.UNetTrunk`.
    steps, batch_size, lr
    """

    width: int = 8
    depth: int = 3
    steps: int = 400
    batch_size: int = 16
    lr: float = 5e-3

    def network(self, channels: int) -> nn.Module:
        """The network, with new weights: a logit for every pixel, ``(B, 1, H, W)``."""
        trunk = UNetTrunk(channels, self.width, self.depth, dropout=0.0)
        return nn.Sequential(trunk, nn.Conv2d(self.width, 1, 1))

    def fit(
        self, slices: SliceSet, seed: int = 0, device: torch.device | str = "cpu"
    ) -> nn.Module:
        """Train on the slices that have a mask; everything follows from the seed."""
        if slices.images.ndim != 4:
            raise ValueError("A segmenter outlines slices; these samples are volumes.")
        known = slices.subset(np.flatnonzero(slices.tumor.any((1, 2))))
        if not len(known):
            raise ValueError(
                "None of the slices has a mask: no outlines can be learned."
            )
        loader = TrainLoader(known, self.batch_size, seed, augment=Augment())
        gpu = [torch.device(device)] if torch.device(device).type == "cuda" else []
        with torch.random.fork_rng(gpu), torch.enable_grad():
            torch.manual_seed(seed)
            network = self.network(slices.images.shape[1]).to(device)
            optimizer = torch.optim.Adam(network.parameters(), self.lr)
            falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)
            epochs = chain.from_iterable(loader.epoch(epoch) for epoch in count())
            for _, batch in islice(epochs, self.steps):
                image, tumor, brain = (
                    batch[name].to(device) for name in ("image", "tumor", "brain")
                )
                mask = (tumor > 0).to(image.dtype)
                said = network(image)[:, 0]
                loss = segmentation_loss(said, mask, brain.to(image.dtype)).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                falling.step()
        return network.eval()


@torch.no_grad()
def outlines(network: nn.Module, slices: SliceSet, batch_size: int = 64) -> np.ndarray:
    """Where a segmentation network sees a tumor: ``(N, H, W)`` bool, in the brain."""
    device = next(network.parameters()).device
    found = [np.zeros((0, *slices.tumor.shape[1:]), dtype=bool)]
    for start in range(0, len(slices), batch_size):
        batch = slices.batch(range(start, min(start + batch_size, len(slices))))
        said: Tensor = network(batch["image"].to(device))[:, 0]
        found.append((said > 0).cpu().numpy() & batch["brain"].numpy())
    return np.concatenate(found)


def dice(found: np.ndarray, true: np.ndarray) -> float:
    r"""Mean Dice coefficient, :math:`2 |A \cap M| / (|A| + |M|)`.

    Parameters
    ----------
    found, true : ndarray of shape ``(N, *space)``
        Slices without a true mask are left out.
    """
    found, true = (np.asarray(m).reshape(len(m), -1) > 0 for m in (found, true))
    known = true.any(1)
    both, each = (found & true).sum(1), found.sum(1) + true.sum(1)
    return (
        float((2 * both[known] / each[known]).mean()) if known.any() else float("nan")
    )
