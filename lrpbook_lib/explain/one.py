"""One case through a model: logits, heatmaps and scores of its slices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrpbook_lib.attribution import chance_level, explainer, tumor_lrp_score
from lrpbook_lib.data import RECIPES, Case
from lrpbook_lib.data.slices.choosing import NORMALIZATIONS
from lrpbook_lib.data.slices.cutting import SliceSettings, back_to_volume, slices_of
from lrpbook_lib.training import TrainedModel

_BATCH = 16


@dataclass(frozen=True)
class Explained:
    """What a model says of a case, slice by slice, and where it looks.

    Attributes
    ----------
    case, model
    z
        ``(S,)`` axial positions of the slices, upwards.
    images
        ``(S, C, H, W)`` as the network saw them.
    tumor, brain
        ``(S, H, W)`` bool; no tumor where there is no mask.
    logits
        ``(S, classes)``.
    target
        The class that is explained.
    relevance
        ``(S, C, H, W)``.
    """

    case: Case
    model: TrainedModel
    z: np.ndarray
    images: np.ndarray
    tumor: np.ndarray
    brain: np.ndarray
    logits: np.ndarray
    target: int
    relevance: np.ndarray

    @cached_property
    def probabilities(self) -> np.ndarray:
        """``(S, classes)``."""
        return torch.from_numpy(self.logits).softmax(1).numpy()

    @cached_property
    def scores(self) -> np.ndarray:
        """``(S,)`` tumor scores; NaN on slices where no tumor is marked."""
        masks = torch.from_numpy(self.tumor), torch.from_numpy(self.brain)
        score = tumor_lrp_score(torch.from_numpy(self.relevance), *masks).numpy()
        return np.where(self.tumor.any((1, 2)), score, np.nan)

    @cached_property
    def chance(self) -> np.ndarray:
        """``(S,)`` what uniform relevance would score; NaN likewise."""
        masks = torch.from_numpy(self.tumor), torch.from_numpy(self.brain)
        return np.where(self.tumor.any((1, 2)), chance_level(*masks).numpy(), np.nan)

    def heatmap(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Relevance, summed over the sequences, in the volume: ``(X, Y, Z)``."""
        return back_to_volume(self.relevance.sum(1), self.z, shape)


def explain_case(
    case: Case, model: TrainedModel, target: str | None = None
) -> Explained:
    """Explain the axial slices of a case.

    With a mask these are all slices with tumor, which is what the models of this
    project have learned from; without one, all slices with enough brain.

    Parameters
    ----------
    case
        From :func:`~lrpbook_lib.data.find_cases` or
        :func:`~lrpbook_lib.data.own_case`.
    model
        From :func:`~lrpbook_lib.training.read_model`.
    target
        Name of the class to explain, on every slice; default the one of the largest
        mean probability.
    """
    spec = model.spec
    if target is not None and target not in spec.classes:
        known = ", ".join(spec.classes)
        raise ValueError(f"target={target!r}: the model {model.name} knows {known}")
    settings = slices_for(model, "tumor" if "seg" in case.paths else "healthy")
    arrays = slices_of(case, settings)
    if not len(arrays["z"]):
        raise ValueError(
            f"case {case.id}: no slice has enough tumor in its mask"
            if "seg" in case.paths
            else f"case {case.id}: no slice has enough brain"
        )
    images = torch.from_numpy(arrays["images"])
    with torch.no_grad():
        logits = torch.cat([model.network(part) for part in images.split(_BATCH)])
    chosen = (
        int(logits.softmax(1).mean(0).argmax())
        if target is None
        else spec.classes.index(target)
    )
    return Explained(
        case,
        model,
        arrays["z"],
        arrays["images"],
        arrays["tumor"] > 0,
        arrays["brain"],
        logits.numpy(),
        chosen,
        torch.cat(list(_relevance(model, images, chosen))).numpy(),
    )


@torch.no_grad()
def slices_for(model: TrainedModel, recipe: str = "tumor") -> SliceSettings:
    """How to cut what a model wants to see, if all of it is told, and can be."""
    spec, logits = model.spec, None
    with suppress(RuntimeError):
        logits = model.network(torch.zeros(1, len(spec.channels), *spec.shape))
    fails = {
        "channels or shape": logits is None,
        "two edges of its shape": len(spec.shape) != 2,
        "classes": logits is not None and logits.shape[1] != len(spec.classes),
        "normalization": spec.normalization not in NORMALIZATIONS,
    }
    if wrong := [what for what, failed in fails.items() if failed]:
        raise ValueError(
            f"{model.name} cannot be shown slices, for want of {' and '.join(wrong)}. "
            f"Told are channels {list(spec.channels)}, shape {list(spec.shape)}, "
            f"classes {list(spec.classes)}, normalization {spec.normalization}: tell "
            f"them as in its training (normalization: {', '.join(NORMALIZATIONS)}). "
            "Volumes are for lrpbook_lib.lrp.Explainer."
        )
    height, width = spec.shape
    how = str(spec.normalization)
    return SliceSettings(spec.channels, RECIPES[recipe], how, (height, width), None)


@torch.no_grad()
def _relevance(model: TrainedModel, images: Tensor, target: int) -> Iterator[Tensor]:
    start: Any = model.start
    explain = explainer(model.network, model.composite, start=start).eval()
    for part in images.split(_BATCH):
        yield explain(part, target)[1].contiguous()
