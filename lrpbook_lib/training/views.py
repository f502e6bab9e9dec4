"""What a network gets to see of each slice, in training and at every test.

Networks that are guided see whole slices. The other views are yardsticks for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from lrpbook_lib.data import SliceSet
from lrpbook_lib.files import cpu_seconds, only_one
from lrpbook_lib.guidance import coarsen
from lrpbook_lib.guidance.masks import Kind

from .checkpoint import read_tensors, write_tensors
from .segmenter import Segmenter, dice, outlines


class View:
    """The whole slice.

    Called, it answers with slices as the network sees them. Masks stay what they are:
    scores know the whole brain and the true tumor.

    Attributes
    ----------
    cpu_seconds : float
        What it took to fit.
    """

    cpu_seconds: float = 0.0

    @classmethod
    def fit(
        cls, train: SliceSet, folder: Path, seed: int, device: torch.device | str
    ) -> View:
        """Fit to the training slices, unless that is done and lies in the folder.

        Parameters
        ----------
        train : SliceSet
            With the masks that training sees.
        folder : Path
            Of this view alone.
        seed : int
        device : torch.device
        """
        return cls.read(folder, train.images.shape[1])

    @classmethod
    def read(cls, folder: Path, channels: int) -> View:
        """The view that was fitted, for images of so many channels."""
        return cls()

    def __call__(self, slices: SliceSet) -> SliceSet:
        """Slices as the network sees them."""
        return slices

    def facts(self, slices: SliceSet) -> dict[str, float]:
        """How well it does on slices, where there is something to be said."""
        return {}


class TumorAlone(View):
    """The oracle: images times their true tumor masks, :math:`x_c M`.

    What nobody has at a test. It says how well a network does that cannot look
    elsewhere. A slice without a tumor is black.
    """

    def __call__(self, slices: SliceSet) -> SliceSet:
        """The tumors."""
        return only(slices, slices.tumor > 0)


class Crop(View):
    """What is left when a segmentation network has cut the rest away.

    What a practitioner does with masks: a small network learns to outline tumors from
    the masks of the training, and outlines them in every slice, trained on or tested
    on. A slice in which it finds none is seen whole.

    The outline is dilated, for the border of a tumor tells something, too. A box would
    be the other way to cut; it lets in more of what is not tumor, and with it of the
    scanner.

    Parameters
    ----------
    network : nn.Module
        Fitted by a :class:`~lrpbook_lib.training.segmenter.Segmenter`.
    cpu_seconds : float
    """

    form: ClassVar[Kind] = "dilated"
    margin: ClassVar[int] = 2
    segmenter: ClassVar[Segmenter] = Segmenter()

    def __init__(self, network: nn.Module, cpu_seconds: float = 0.0) -> None:
        self.network, self.cpu_seconds = network, cpu_seconds

    @classmethod
    def fit(
        cls, train: SliceSet, folder: Path, seed: int, device: torch.device | str
    ) -> View:
        """Train the segmentation network, on slices that have a mask."""
        path = folder / "segmenter.safetensors"
        with only_one(folder):  # of several processes one trains, and all read
            if not path.exists():
                began = cpu_seconds()
                network = cls.segmenter.fit(train, seed, device)
                spent = cpu_seconds() - began
                write_tensors(path, network.state_dict(), cpu_seconds=spent)
        view = cls.read(folder, train.images.shape[1])
        view.network.to(device)
        return view

    @classmethod
    def read(cls, folder: Path, channels: int) -> Crop:
        """The view as it was fitted."""
        tensors, about = read_tensors(folder / "segmenter.safetensors")
        network = cls.segmenter.network(channels).eval()
        network.load_state_dict(tensors)
        return cls(network, about["cpu_seconds"])

    def __call__(self, slices: SliceSet) -> SliceSet:
        """The outlined tumors and a margin."""
        return only(slices, self.regions(slices))

    def regions(self, slices: SliceSet) -> np.ndarray:
        """What is seen of each slice: ``(N, H, W)`` bool."""
        found = outlines(self.network, slices)
        region = coarsen(found, slices.brain, self.form, self.margin)
        return region | ~found.any((1, 2), keepdims=True)

    def facts(self, slices: SliceSet) -> dict[str, float]:
        """The Dice coefficient of outline and true tumor."""
        return {"dice": dice(outlines(self.network, slices), slices.tumor)}


def only(slices: SliceSet, region: np.ndarray) -> SliceSet:
    """Slices whose images are zero outside of a region ``(N, *space)``."""
    return slices.with_arrays(images=np.where(region[:, None], slices.images, 0))


#: The views by name.
VIEWS: dict[str, type[View]] = {"whole": View, "tumor": TumorAlone, "crop": Crop}
