"""The map that a loss wants: LRP, input gradient or Grad-CAM, with its graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrpbook_lib.lrp import Composite, Explainer

Attribution = Literal["none", "lrp", "input_gradient", "gradcam"]
Start = Literal["logit", "one", "softmax", "difference"]


class Attributor(nn.Module):
    """A model that answers with its logits and the map that a loss asks for.

    Maps come from the network in evaluation form (dropout off, running statistics),
    logits from the pass of the mode that the model is in. The three kinds all have a
    graph: losses on them reach every parameter.

    Parameters
    ----------
    model : nn.Module
        Kept as it is, with its parameters.
    attribution : {"none", "lrp", "input_gradient", "gradcam"}
        ``"lrp"``: relevance under ``composite``, of the target.
        ``"input_gradient"``: gradient of the summed log probabilities (Ross et al.
        2017), which asks for no target.
        ``"gradcam"``: Grad-CAM of the target (Selvaraju et al. 2017) at ``layer``,
        enlarged to the size of the input.
        ``"none"``: None instead of a map.
    composite : str or Composite
    start : {"logit", "one", "softmax", "difference"}
        Where LRP starts, see :class:`~lrpbook_lib.lrp.Explainer`; from the softmax it
        starts with all classes. A logit or a difference of two changes steadily with
        the weights. A fixed start does not: where the logit crosses zero, the epsilon
        rule turns the sign of the whole map.
    layer : str, optional
        Where Grad-CAM looks: the name of a layer with channels; default the last
        convolution.
    """

    def __init__(
        self,
        model: nn.Module,
        attribution: Attribution = "lrp",
        composite: str | Composite = "epsilon-plus",
        start: Start = "logit",
        layer: str | None = None,
    ) -> None:
        super().__init__()
        kinds = ("none", "lrp", "input_gradient", "gradcam")
        if attribution not in kinds:
            raise ValueError(
                f"attribution is {attribution!r}; it takes one of {kinds}."
            )
        self.attribution, self.start = attribution, start
        self.model = model
        self.explainer: Explainer | None = None
        if attribution == "lrp":
            # Its own checks would look at every batch; the trainer has looked.
            self.explainer = Explainer(model, composite, start=start, check=False)
        self.layer = layer
        if attribution == "gradcam" and layer is None:
            self.layer = _last_convolution(model)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        loss: Any,
        composite: str | Composite = "epsilon-plus",
        start: Start = "logit",
    ) -> Attributor:
        """The one that makes what ``loss`` wants."""
        return cls(model, loss.attribution, composite, loss.start or start)

    def forward(
        self, x: Tensor, target: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits and the map.

        Parameters
        ----------
        x : Tensor of shape ``(B, C, *space)``
        target : Tensor of shape (B,), optional
            Class indices to explain; default the predicted ones.

        Returns
        -------
        logits : Tensor of shape (B, classes)
        relevance : Tensor of shape ``(B, C, *space)``, one channel for Grad-CAM
        """
        if self.attribution == "none":
            return self.model(x), None
        if self.explainer is not None:
            return self.explainer(x, None if self.start == "softmax" else target)
        logits = self.model(x) if self.model.training else None
        with torch.enable_grad(), evaluation_form(self.model):
            clean, relevance = (
                input_gradient(self.model, x)
                if self.attribution == "input_gradient"
                else grad_cam(self.model, x, target, self.layer or "")
            )
        return (clean if logits is None else logits), relevance


def input_gradient(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    r"""Logits, and :math:`\partial / \partial x \sum_k \log p_k`, shaped like ``x``.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    """
    x = x.detach().requires_grad_()
    logits = model(x)
    # Summed over the batch: each sample's gradient is its own.
    (gradient,) = torch.autograd.grad(logits.log_softmax(1).sum(), x, create_graph=True)
    return logits, gradient


def grad_cam(
    model: nn.Module, x: Tensor, target: Tensor | None, layer: str
) -> tuple[Tensor, Tensor]:
    r"""Logits, and Grad-CAM ``(B, 1, *space)``, enlarged linearly.

    .. math:: A = \Big( \sum_c \alpha_c F_c \Big)^+, \qquad
        \alpha_c = \frac{1}{|F_c|} \sum_i \frac{\partial z_t}{\partial F_{c,i}}

    Selvaraju et al. 2017 (``selvaraju2017``), with F the channels of ``layer``.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,), optional
        Default the predicted class.
    layer : str
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, out: Tensor) -> None:
        kept.append(out)

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        # Features must have a graph even where every parameter is frozen.
        logits = model(x.detach().requires_grad_())
    finally:
        handle.remove()
    index = logits.detach().argmax(1) if target is None else target
    features = kept[-1]
    picked = logits.gather(1, index[:, None]).sum()
    (gradient,) = torch.autograd.grad(picked, features, create_graph=True)
    alpha = gradient.mean(tuple(range(2, x.ndim)), keepdim=True)  # (B, F, 1, 1)
    cam = (alpha * features).sum(1, keepdim=True).clamp(min=0)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[x.ndim - 2]
    return logits, F.interpolate(cam, x.shape[2:], mode=mode, align_corners=False)


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
