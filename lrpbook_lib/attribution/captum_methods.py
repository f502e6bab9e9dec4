"""Captum's methods as maps (Kokhlikyan et al. 2020, ``kokhlikyan2020``).

Captum hooks into layers, wants each of them used once and none of them in place, has
no rule for ``nn.Flatten`` and leaves attributes behind. It therefore gets a twin of the
model without any of that. Its maps have no graph.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .maps import Made, Target

#: Methods that have been tried; another one of ``captum.attr`` is a row more.
METHODS = (
    "Deconvolution",
    "DeepLift",
    "DeepLiftShap",
    "FeatureAblation",
    "GradientShap",
    "GuidedBackprop",
    "GuidedGradCam",
    "InputXGradient",
    "IntegratedGradients",
    "KernelShap",
    "LRP",
    "LayerGradCam",
    "Lime",
    "Occlusion",
    "Saliency",
    "ShapleyValueSampling",
)


def captum_map(
    model: nn.Module,
    x: Tensor,
    target: Target,
    graph: bool,
    method: str,
    patch: int = 8,
    seed: int = 0,
    **settings: Any,
) -> Made:
    """Logits, and what a method of captum attributes.

    Parameters
    ----------
    model, x, target, graph
        See :mod:`~lrpbook_lib.attribution.maps`; the target is a class.
    method : str
        Name of a class in ``captum.attr``.
    patch : int
        Methods that take parts of the image away take squares of this edge.
    seed : int
        Of methods that draw; torch's own random state stays as it is.
    **settings
        What the class and its ``attribute`` take, a layer by its name, e.g.
        ``n_steps=20`` or ``layer="features.8"``. Baselines are zero by default.
    """
    try:
        from captum import attr
    except ImportError as error:
        raise ImportError(
            f"{method} comes from captum, which is not installed: pip install captum."
        ) from error
    with torch.no_grad():
        logits = model(x)
    index = logits.argmax(1) if target is None else target
    if isinstance(index, Tensor) and index.is_floating_point():
        raise TypeError("captum's methods explain a class: give its index.")
    kind = getattr(attr, method)
    made = inspect.signature(kind.__init__).parameters
    asked = inspect.signature(kind.attribute).parameters
    if unknown := settings.keys() - {*made, *asked}:
        known = ", ".join([*list(made)[2:], *list(asked)[2:]])
        raise TypeError(
            f"{method} has no setting {', '.join(unknown)}; it has {known}."
        )
    like = twin(model)
    if isinstance(settings.get("layer"), str):
        settings["layer"] = like.get_submodule(settings["layer"])
    square = (x.shape[1], *[patch] * (x.ndim - 2))
    usual = {
        "sliding_window_shapes": square,
        "strides": square,
        "feature_mask": squares(x, patch),
    }
    if "baselines" in asked and asked["baselines"].default is inspect.Parameter.empty:
        # Two of them: a single one is refused.
        usual["baselines"] = torch.zeros_like(x[:1]).expand(2, *x.shape[1:])
    making, asking = (
        {k: v for k, v in {**usual, **settings}.items() if k in known}
        for known in (made, asked)
    )
    with warnings.catch_warnings(), _drawing_from(seed):
        # Of hooks, which we know.
        warnings.simplefilter("ignore")
        explained = x.detach().requires_grad_()
        found = kind(like, **making).attribute(explained, target=index, **asking)
    return logits, (found[0] if isinstance(found, tuple) else found).detach()


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Captum draws from torch and from numpy: both random states stay as they are."""
    numpys = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numpys)  # noqa: NPY002


def squares(x: Tensor, edge: int) -> Tensor:
    """Numbers ``(1, 1, *space)`` from zero, one for each square of an image."""
    number = torch.zeros((), dtype=torch.long, device=x.device)
    for size in x.shape[2:]:
        place = torch.arange(size, device=x.device) // edge
        number = number[..., None] * -(-size // edge) + place
    return number[None, None]


def twin(model: nn.Module) -> nn.Module:
    """A copy of a model as captum wants it; the same function of ``x``."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    try:
        traced = fx.symbolic_trace(model)
    except Exception:
        return model  # gradients and perturbations get along with any model
    used: set[str] = set()
    for node in list(traced.graph.nodes):
        if node.op == "call_module":
            module = traced.get_submodule(node.target)
            if isinstance(module, nn.Flatten):
                ends = (module.start_dim, module.end_dim)
                node.op, node.target = "call_function", torch.flatten
                node.args, node.kwargs = (node.args[0], *ends), {}
                continue
            if node.target in used:
                node.target = f"{node.target}_{node.name}"
                traced.add_submodule(node.target, copy.deepcopy(module))
            used.add(node.target)
        elif node.target in (F.relu, torch.relu, torch.relu_, "relu", "relu_"):
            traced.add_submodule(node.name + "_layer", nn.ReLU())
            node.op, node.target = "call_module", node.name + "_layer"
            node.args, node.kwargs = node.args[:1], {}
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced
