"""Maps that are no LRP, and what makes explainers of them.

A map is a function ``(model, x, target, graph, **settings)`` of a model in evaluation
form, which answers with logits and map ``(B, C or 1, *space)``; with ``graph``, the map
will be differentiated.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrpbook_lib.lrp.start import start_relevance

Target = Tensor | int | None
Made = tuple[Tensor, Tensor]


class Attribution(nn.Module):
    """A model that answers with its logits and a map.

    The map comes from the network in evaluation form (dropout off, running statistics),
    the logits from the pass of the mode that the model is in. Maps have a graph where
    gradients are on: losses on them reach every parameter.

    Parameters
    ----------
    model : nn.Module
        Kept as it is, with its parameters.
    map : callable, optional
        What makes the map, see above; without one there is none.
    **settings
        Of the map.
    """

    def __init__(
        self, model: nn.Module, map: Callable[..., Made] | None = None, **settings: Any
    ) -> None:
        super().__init__()
        self.model, self.map, self.settings = model, map, settings
        if map is not None:  # a setting that it does not know is an error here
            inspect.signature(map).bind(model, None, None, False, **settings)

    def forward(self, x: Tensor, target: Target = None) -> tuple[Tensor, Tensor | None]:
        """Logits and the map.

        Parameters
        ----------
        x : Tensor of shape ``(B, C, *space)``
        target : Tensor, int or None
            Class indices ``(B,)``, one index for all, a weight for every output shaped
            like the output, or None for the predicted class.

        Returns
        -------
        logits : Tensor of shape (B, classes)
        relevance : Tensor of shape ``(B, C, *space)``, or ``(B, 1, *space)``
            A coarser map is enlarged linearly to the size of the input.
        """
        if self.map is None:
            return self.model(x), None
        graph = torch.is_grad_enabled()
        training = any(module.training for module in self.model.modules())
        logits = self.model(x) if training else None
        with torch.enable_grad(), evaluation_form(self.model):
            clean, heat = self.map(self.model, x, target, graph, **self.settings)
        if heat.shape[2:] != x.shape[2:]:
            mode = ("linear", "bilinear", "trilinear")[x.ndim - 3]
            heat = F.interpolate(heat, x.shape[2:], mode=mode)
        if not graph:
            clean, heat = clean.detach(), heat.detach()
        return (clean if logits is None else logits), heat


def gradient(model: nn.Module, x: Tensor, target: Target, graph: bool) -> Made:
    r"""The gradient of the target's logit, :math:`\partial z_t / \partial x`.

    Simonyan et al. 2014 (``simonyan2014``), with its sign.
    """
    x = x.detach().requires_grad_()
    logits = model(x)
    return logits, _gradient(_logit(logits, target), x, graph)


def gradient_x_input(model: nn.Module, x: Tensor, target: Target, graph: bool) -> Made:
    r"""Gradient times input, :math:`x \odot \partial z_t / \partial x`.

    Shrikumar et al. 2016 (``shrikumar2016``).
    """
    logits, found = gradient(model, x, target, graph)
    return logits, found * x.detach()


def input_gradient(model: nn.Module, x: Tensor, target: Target, graph: bool) -> Made:
    r"""The gradient :math:`\partial / \partial x \sum_k \log p_k`, of no target.

    Ross et al. 2017 (``ross2017``), who train it to be small.
    """
    x = x.detach().requires_grad_()
    logits = model(x)
    return logits, _gradient(logits.log_softmax(1), x, graph)


def grad_cam(
    model: nn.Module, x: Tensor, target: Target, graph: bool, layer: str | None = None
) -> Made:
    r"""Grad-CAM of the target at a layer, by default the last convolution.

    .. math:: A = \Big( \sum_c \alpha_c F_c \Big)^+, \qquad
        \alpha_c = \frac{1}{|F_c|} \sum_i \frac{\partial z_t}{\partial F_{c,i}}

    Selvaraju et al. 2017 (``selvaraju2017``), with F the channels of the layer.
    """
    logits, features, found = _features(model, x, target, graph, layer)
    alpha = found.mean(tuple(range(2, found.ndim)), keepdim=True)
    return logits, (alpha * features).sum(1, keepdim=True).clamp(min=0)


def grad_cam_plus_plus(
    model: nn.Module, x: Tensor, target: Target, graph: bool, layer: str | None = None
) -> Made:
    r"""Grad-CAM++ of the target at a layer, by default the last convolution.

    .. math:: A = \Big( \sum_c \alpha_c F_c \Big)^+, \qquad
        \alpha_c = \sum_i \frac{g_{c,i}^2 \, g_{c,i}^+}
        {2 g_{c,i}^2 + g_{c,i}^3 \sum_j F_{c,j}}

    Chattopadhay et al. 2018 (``chattopadhay2018``), with F the channels of the layer
    and g the gradient of the logit, whose exponential is what they explain. It finds
    several places where Grad-CAM takes their mean.
    """
    logits, features, found = _features(model, x, target, graph, layer)
    space = tuple(range(2, found.ndim))
    below = 2 * found.square() + found.pow(3) * features.sum(space, keepdim=True)
    share = torch.where(below != 0, found.square() / below.where(below != 0, 1.0), 0.0)
    alpha = (share * found.clamp(min=0)).sum(space, keepdim=True)
    return logits, (alpha * features).sum(1, keepdim=True).clamp(min=0)


def _features(
    model: nn.Module, x: Tensor, target: Target, graph: bool, layer: str | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, what a layer says, and the gradient of the target's logit there."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
        kept.append(out)
        return out.clone()  # a layer behind it may work in place

    look = model.get_submodule(layer or _last_convolution(model))
    handle = look.register_forward_hook(keep)
    try:
        # Features must have a graph even where every parameter is frozen.
        logits = model(x.detach().requires_grad_())
    finally:
        handle.remove()
    return logits, kept[-1], _gradient(_logit(logits, target), kept[-1], graph)


def own_map(
    model: Any, x: Tensor, target: Target, graph: bool, **settings: Any
) -> Made:
    """What a network itself says, by a method ``own_map(x, target)``."""
    if not callable(getattr(model, "own_map", None)):
        raise ValueError(
            f"{type(model).__name__} has no map of its own: give it a method "
            "own_map(x, target) that returns logits and map."
        )
    return model.own_map(x, target, **settings)


def _logit(logits: Tensor, target: Target) -> Tensor:
    return logits * start_relevance("one", target)(logits.detach())


def _gradient(of: Tensor, by: Tensor, graph: bool) -> Tensor:
    # Summed over the batch: each sample's gradient is its own.
    return torch.autograd.grad(of.sum(), by, create_graph=graph)[0]


def _last_convolution(model: nn.Module) -> str:
    convolutions = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd)
    ]
    if not convolutions:
        raise ValueError(
            f"{type(model).__name__} has no convolution for Grad-CAM to look at: name "
            "a layer with channels."
        )
    return convolutions[-1]


@contextmanager
def evaluation_form(model: nn.Module) -> Iterator[None]:
    """Evaluation form for a while, module by module back to what it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
