"""Every explainer by name, behind one call."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from lrpbook_lib.lrp import COMPOSITES, Composite, Explainer
from lrpbook_lib.lrp.start import Start

from . import maps
from .captum_methods import METHODS, captum_map
from .maps import Attribution, Target
from .stability import Smoothed


class LRP(Explainer):
    """LRP, whose start at the softmax is one at all classes and asks for no target."""

    def forward(self, x: Any, target: Target = None, **rest: Any) -> Any:
        """Logits and relevance, see :class:`~lrpbook_lib.lrp.Explainer`."""
        return super().forward(x, None if self.start == "softmax" else target, **rest)


def _row(map: Callable[..., Any] | None, **settings: Any) -> Callable[..., nn.Module]:
    return partial(Attribution, map=map, **settings)


def _smoothed(model: nn.Module, **settings: Any) -> nn.Module:
    return Smoothed(Attribution(model, maps.gradient), **settings)


#: What makes each explainer from a model and settings. A new one is a function and a
#: row, here or in a program of one's own:
#: ``EXPLAINERS["mine"] = partial(Attribution, map=mine)``.
EXPLAINERS: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(LRP, composite=name) for name in COMPOSITES},
    "gradient": _row(maps.gradient),
    "gradient_x_input": _row(maps.gradient_x_input),
    "input_gradient": _row(maps.input_gradient),
    "smoothgrad": _smoothed,
    "gradcam": _row(maps.grad_cam),
    "gradcam++": _row(maps.grad_cam_plus_plus),
    "own": _row(maps.own_map),
    "none": _row(None),
    **{f"captum:{method}": _row(captum_map, method=method) for method in METHODS},
}


def explainer(
    model: nn.Module,
    name: str | Composite = "epsilon-plus",
    *,
    start: Start = "logit",
    check: bool = True,
    **settings: Any,
) -> Any:
    """The explainer of that name: a module whose call is the same for all.

    Parameters
    ----------
    model : nn.Module
        Kept as it is; parameters of the explainer are the parameters of the model.
    name : str or Composite
        One of ``EXPLAINERS``: a composite of LRP, ``"gradient"``,
        ``"gradient_x_input"``, ``"input_gradient"`` (of the summed log probabilities,
        Ross et al. 2017), ``"smoothgrad"``, ``"gradcam"``, ``"gradcam++"``, ``"own"``
        (a network's own map), ``"captum:..."``, or ``"none"``.
    start, check
        For LRP alone: where relevance starts, and whether to look at inputs first, see
        :class:`~lrpbook_lib.lrp.Explainer`. From the softmax it starts with all
        classes. A logit or a difference of two changes steadily with the weights. A
        fixed start does not: where the logit crosses zero, the epsilon rule turns the
        sign of the whole map.
    **settings
        Of the explainer, e.g. ``layer="features.8"`` for Grad-CAM.

    Returns
    -------
    nn.Module
        ``logits, relevance = explainer(x, target)``: target None (the predicted class),
        class indices ``(B,)``, or a weight for every output; relevance
        ``(B, C, *space)``, or ``(B, 1, *space)``.

    Examples
    --------
    >>> logits, heat = explainer(model, "gradcam", layer="features.8")(x)
    >>> logits, heat = explainer(model, "captum:IntegratedGradients", n_steps=20)(x, 1)
    """
    if isinstance(name, Composite) or name in COMPOSITES:
        return LRP(model, name, start=start, check=check, **settings)
    if name not in EXPLAINERS:
        near = difflib.get_close_matches(str(name), EXPLAINERS, 3, 0.5)
        meant = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise ValueError(
            f"There is no explainer {name!r}{meant}; there are {', '.join(EXPLAINERS)}."
        )
    return EXPLAINERS[name](model, **settings)
