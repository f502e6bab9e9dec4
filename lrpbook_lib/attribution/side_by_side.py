"""Explainers side by side, and all that can be measured of a map.

A common list, so that every comparison of explainers compares the same: each in the
form that is usual for it, with what it assumes in a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .catalog import explainer
from .faithfulness import faithfulness_correlation, infidelity
from .flipping import flip_regions, random_map
from .interventions import logits_of
from .properties import completeness_error, complexity, sparseness
from .scores import (
    chance_level,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    tumor_lrp_score,
)
from .stability import max_sensitivity


@dataclass(frozen=True)
class Method:
    """An explainer in the form in which it is compared.

    Attributes
    ----------
    name
        One of :data:`~lrpbook_lib.attribution.EXPLAINERS`, or ``"random"``.
    settings
        Of the explainer.
    signed
        Whether the sign of its map tells for from against. Where it does not, the
        absolute value of the sum over channels is taken.
    assumes
        What must hold for its map to be right, in a line.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    signed: bool = True
    assumes: str = ""

    def of(self, model: nn.Module) -> nn.Module:
        """The explainer of a model: logits, and relevance ``(B, 1, *space)``."""
        found = (
            None
            if self.name == "random"
            else explainer(model, self.name, **self.settings)
        )
        return _OneChannel(model, found, self.signed)


class _OneChannel(nn.Module):
    """An explainer with its channels summed, and a sign if that means something."""

    def __init__(self, model: nn.Module, map: nn.Module | None, signed: bool) -> None:
        super().__init__()
        self.model, self.map, self.signed = model, map, signed

    def forward(
        self, x: Tensor, target: Tensor | int | None = None
    ) -> tuple[Tensor, Tensor]:
        if self.map is None:
            return self.model(x), random_map(x)
        logits, heat = self.map(x, target)
        heat = heat.sum(1, keepdim=True)
        return logits, heat if self.signed else heat.abs()


_SAMPLES = {"n_samples": 200, "perturbations_per_eval": 100}
_SURROGATE = "A linear model of squares left out or kept is enough."
#: The explainers that chapters compare, by the names that they use.
SIDE_BY_SIDE: dict[str, Method] = {
    "LRP epsilon-plus": Method(
        "epsilon-plus",
        assumes="Relevance is conserved; in convolutions only what excites counts.",
    ),
    "LRP epsilon": Method("epsilon", assumes="Relevance is conserved, in both signs."),
    "LRP z-plus": Method(
        "zplus", assumes="Relevance is conserved; only what excites counts, everywhere."
    ),
    "gradient": Method(
        "gradient",
        signed=False,
        assumes="What would change the answer is what it uses.",
    ),
    "gradient x input": Method(
        "gradient_x_input", assumes="The network is linear from zero to the image."
    ),
    "SmoothGrad": Method(
        "smoothgrad",
        {"draws": 10},
        False,
        assumes="As the gradient; noise averages out.",
    ),
    "integrated gradients": Method(
        "captum:IntegratedGradients",
        {"n_steps": 16},
        assumes="Black is nothing, and the way from there is fair.",
    ),
    "DeepLIFT": Method(
        "captum:DeepLift", assumes="Black is nothing; layers differ from it alone."
    ),
    "GradientSHAP": Method(
        "captum:GradientShap",
        {"n_samples": 10, "stdevs": 0.05},
        assumes="As integrated gradients, at random on the way.",
    ),
    "guided backpropagation": Method(
        "captum:GuidedBackprop", signed=False, assumes="What speaks against may be cut."
    ),
    "Grad-CAM": Method(
        "gradcam", assumes="A channel of the last convolution means one thing."
    ),
    "Grad-CAM++": Method("gradcam++", assumes="As Grad-CAM, several times an image."),
    "occlusion": Method(
        "captum:Occlusion", assumes="Black squares are nothing, and act one by one."
    ),
    "LIME": Method("captum:Lime", _SAMPLES, assumes=_SURROGATE),
    "KernelSHAP": Method("captum:KernelShap", _SAMPLES, assumes=_SURROGATE),
    "random": Method("random", assumes="Nothing: what every measure is to be held to."),
}


def measure_maps(
    explain: Any,
    x: Tensor,
    target: Tensor,
    tumor: Tensor,
    brain: Tensor,
    heat: Tensor | None = None,
    *,
    draws: int = 4,
    seed: int = 0,
) -> dict[str, Tensor]:
    """All measures of an explainer's maps, slice by slice.

    Parameters
    ----------
    explain : nn.Module
        An explainer with its ``model``, e.g. ``SIDE_BY_SIDE["LIME"].of(model)``.
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,)
        Class that is explained.
    tumor, brain : Tensor of shape ``(B, *space)``
    heat : Tensor of shape ``(B, 1, *space)``, optional
        The maps, where they are known already.
    draws : int
        Of noise, for the sensitivity: each costs a map.
    seed : int

    Returns
    -------
    dict of str to Tensor of shape (B,)
        *Where the map lies*: ``score`` and its ``chance``, ``mass``, ``rank``,
        ``pointing``. *Whether the network follows*: ``abpc``, ``deletion``,
        ``insertion``, ``faithfulness``, ``infidelity``. *What it is like*:
        ``sensitivity``, ``complexity``, ``sparseness``, ``completeness``.
    """
    model = explain.model
    if heat is None:
        with torch.no_grad():
            heat = explain(x, target)[1]
    flipped = flip_regions(model, x, heat, target, seed=seed)
    return where_it_lies(heat, tumor, brain) | {
        "abpc": flipped.abpc,
        "deletion": flipped.deletion,
        "insertion": flipped.insertion,
        "faithfulness": faithfulness_correlation(model, x, heat, target, seed=seed),
        "infidelity": infidelity(model, x, heat, target, scaled=True, seed=seed),
        "sensitivity": max_sensitivity(explain, x, target, draws=draws, seed=seed),
        "complexity": complexity(heat),
        "sparseness": sparseness(heat),
        "completeness": completeness_error(heat, logits_of(model, x), target),
    }


def where_it_lies(heat: Tensor, tumor: Tensor, brain: Tensor) -> dict[str, Tensor]:
    """The measures of a map alone, of which the tumor is known: five by name."""
    return {
        "score": tumor_lrp_score(heat, tumor, brain),
        "chance": chance_level(tumor, brain),
        "mass": relevance_mass_accuracy(heat, tumor),
        "rank": relevance_rank_accuracy(heat, tumor),
        "pointing": pointing_game(heat, tumor),
    }
