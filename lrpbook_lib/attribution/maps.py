"""Maps that are no LRP: gradients, Grad-CAM, and what a network itself has to say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrpbook_lib.lrp.start import start_relevance

Target = Tensor | int | None


class Attribution(nn.Module, ABC):
    """A model that answers with its logits and a map.

    The map comes from the network in evaluation form (dropout off, running statistics),
    the logits from the pass of the mode that the model is in. Maps have a graph where
    gradients are on: losses on them reach every parameter.

    Parameters
    ----------
    model : nn.Module
        Kept as it is, with its parameters.

    Attributes
    ----------
    trainable : bool
        Whether the map has a graph, so that a loss may stand on it.
    """

    trainable: ClassVar[bool] = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, target: Target = None) -> tuple[Tensor, Tensor]:
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
        graph = torch.is_grad_enabled()
        training = any(module.training for module in self.model.modules())
        logits = self.model(x) if training else None
        with torch.enable_grad(), evaluation_form(self.model):
            clean, relevance = self.map(x, target, graph)
        if relevance.shape[2:] != x.shape[2:]:
            mode = ("linear", "bilinear", "trilinear")[x.ndim - 3]
            relevance = F.interpolate(relevance, x.shape[2:], mode=mode)
        if not graph:
            clean, relevance = clean.detach(), relevance.detach()
        return (clean if logits is None else logits), relevance

    @abstractmethod
    def map(self, x: Tensor, target: Target, graph: bool) -> tuple[Tensor, Tensor]:
        """Logits and map, of the model as it is; ``graph``: with a graph."""


class NoMap(nn.Module):
    """None instead of a map, for a loss that wants none."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, target: Target = None) -> tuple[Tensor, None]:
        """Logits and None."""
        return self.model(x), None


class Gradient(Attribution):
    r"""The gradient of the target's logit, :math:`\partial z_t / \partial x`.

    Simonyan et al. 2014 (``simonyan2014``), with its sign.
    """

    def map(self, x: Tensor, target: Target, graph: bool) -> tuple[Tensor, Tensor]:
        """Logits, and the gradient shaped like ``x``."""
        x = x.detach().requires_grad_()
        logits = self.model(x)
        # Summed over the batch: each sample's gradient is its own.
        said = self.said(logits, target).sum()
        return logits, torch.autograd.grad(said, x, create_graph=graph)[0]

    def said(self, logits: Tensor, target: Target) -> Tensor:
        """What is differentiated: the logit of the target."""
        return logits * start_relevance("one", target)(logits.detach())


class GradientTimesInput(Gradient):
    r"""Gradient times input, :math:`x \odot \partial z_t / \partial x`.

    Shrikumar et al. 2016 (``shrikumar2016``).
    """

    def map(self, x: Tensor, target: Target, graph: bool) -> tuple[Tensor, Tensor]:
        """Logits, and the product shaped like ``x``."""
        logits, gradient = super().map(x, target, graph)
        return logits, gradient * x.detach()


class LogProbabilityGradient(Gradient):
    r"""The gradient :math:`\partial / \partial x \sum_k \log p_k` of Ross et al. 2017.

    The map of ``ross2017``, who train it to be small; it asks for no target.
    """

    def said(self, logits: Tensor, target: Target) -> Tensor:
        """The log probabilities."""
        return logits.log_softmax(1)


class GradCAM(Gradient):
    r"""Grad-CAM of the target at a layer, ``(B, 1, *space)``.

    .. math:: A = \Big( \sum_c \alpha_c F_c \Big)^+, \qquad
        \alpha_c = \frac{1}{|F_c|} \sum_i \frac{\partial z_t}{\partial F_{c,i}}

    Selvaraju et al. 2017 (``selvaraju2017``), with F the channels of ``layer``.

    Parameters
    ----------
    model : nn.Module
    layer : str, optional
        The name of a layer with channels; default the last convolution.
    """

    def __init__(self, model: nn.Module, layer: str | None = None) -> None:
        super().__init__(model)
        self.layer = layer or _last_convolution(model)

    def map(self, x: Tensor, target: Target, graph: bool) -> tuple[Tensor, Tensor]:
        """Logits, and the map in the size of the layer."""
        kept: list[Tensor] = []

        def keep(module: nn.Module, inputs: Any, out: Tensor) -> Tensor:
            kept.append(out)
            return out.clone()  # a layer behind it may work in place

        handle = self.model.get_submodule(self.layer).register_forward_hook(keep)
        try:
            # Features must have a graph even where every parameter is frozen.
            logits = self.model(x.detach().requires_grad_())
        finally:
            handle.remove()
        features = kept[-1]
        said = self.said(logits, target).sum()
        (gradient,) = torch.autograd.grad(said, features, create_graph=graph)
        alpha = gradient.mean(tuple(range(2, gradient.ndim)), keepdim=True)
        return logits, (alpha * features).sum(1, keepdim=True).clamp(min=0)


class OwnMap(Attribution):
    """What the network itself says: of a model with a method ``explain``.

    ``model.explain(x, target)`` answers with logits and a map ``(B, C or 1, *space)``,
    with their graph.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        if not callable(getattr(model, "explain", None)):
            raise ValueError(
                f"{type(model).__name__} has no map of its own: give it a method "
                "explain(x, target) that returns logits and map."
            )

    def map(self, x: Tensor, target: Target, graph: bool) -> tuple[Tensor, Tensor]:
        """Logits and map, from the model."""
        model: Any = self.model
        return model.explain(x, target)


def _last_convolution(model: nn.Module) -> str:
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.modules.conv._ConvNd)
    ]
    if not names:
        raise ValueError(
            f"{type(model).__name__} has no convolution for Grad-CAM to look at: name "
            "a layer with channels."
        )
    return names[-1]


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
