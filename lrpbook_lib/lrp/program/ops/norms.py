"""Normalizations as affine layers: functions of their own parameters.

Relevance takes the statistics of a normalization as given; what is left is a scale and
a shift. Those of a batch norm behind an affine layer fold into its weight and bias; the
other norms have the rule Pass unless the composite says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from ...errors import LRPError
from ...layers import Affine, Conv, Dense, Scale, affine
from ..page import Page
from ..table import Sends, of, row, word
from ..trace import Step
from .affine import by_rule, itself


def scaled(
    mean: Tensor, var: Tensor, eps: float, weight: Tensor | None, bias: Tensor | None
) -> Scale:
    r"""A normalization as ``z = scale * h + shift``.

    .. math::

        scale = \gamma / \sqrt{\sigma^2 + \epsilon}, \qquad
        shift = \beta - \mu \, scale
    """
    scale = torch.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    return Scale(scale, -mean * scale if bias is None else bias - mean * scale)


@word
def normalization(norm: Any, h: Tensor, batch: bool = False) -> Scale:
    """Batch norm as a scale and a shift for each channel.

    Parameters
    ----------
    norm : nn.BatchNorm1d, nn.BatchNorm2d or nn.BatchNorm3d
    h : Tensor of shape ``(B, C, *)``
        The input of the norm, read only where statistics are those of the batch.
    batch : bool
        Whether to use the statistics of this batch, as batch norm does in training.
    """
    if batch or norm.running_mean is None:
        dims = [d for d in range(h.ndim) if d != 1]
        mean, var = h.mean(dims), h.var(dims, correction=0)
    else:
        # A later training pass updates the statistics in place; a gradient through
        # this one still needs the values it has used.
        mean, var = norm.running_mean.clone(), norm.running_var.clone()
    return scaled(mean, var, norm.eps, norm.weight, norm.bias)


@word
def evaluated(norm: Any, h: Tensor) -> Tensor:
    """Batch norm in evaluation form, whatever mode the module is in."""
    view = normalization(norm, h)
    return view.forward(h, view.weight, view.bias)


@dataclass(frozen=True)
class DenseByPosition(Affine):
    """A dense layer with a weight ``(out, in)`` and a bias ``(out,)`` a position."""

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = (weight @ a.unsqueeze(-1)).squeeze(-1)
        return z if bias is None else z + bias

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return (weight.mT @ s.unsqueeze(-1)).squeeze(-1)


@word
def fold(layer: Any, norm: Any, h: Tensor, batch: bool = False) -> Affine:
    r"""A layer and the batch norm behind it as one affine layer.

    ``w' = scale * w`` along the output channels and ``b' = scale * b + shift``; both
    stay functions of the parameters of layer and norm, so gradients reach all of them.

    Parameters
    ----------
    layer : module or Affine
        Linear, convolution or transposed convolution.
    norm : batch norm
    h : Tensor of shape ``(B, C, *)``
        What goes from the layer into the norm.
    batch : bool
        Whether to use the statistics of this batch.
    """
    view = affine(layer)
    norm_view = normalization(norm, h, batch)
    scale, shift = norm_view.weight, norm_view.bias
    assert shift is not None
    if isinstance(view, Conv) and view.transposed:
        # Weight (in, out/groups, *k): the groups lie along the input channels.
        w = view.weight
        grouped = w.reshape(view.groups, w.shape[0] // view.groups, *w.shape[1:])
        by_group = scale.reshape(view.groups, 1, w.shape[1], *[1] * (w.ndim - 2))
        weight = (grouped * by_group).reshape(w.shape)
    elif isinstance(view, Dense) and h.ndim > 2:
        # The channels of the norm are positions of the layer, not its outputs.
        scale, shift = (t.reshape(-1, *[1] * (h.ndim - 2)) for t in (scale, shift))
        bias = shift.expand(*shift.shape[:-1], h.shape[-1])
        if view.bias is not None:
            bias = bias + scale * view.bias
        return DenseByPosition(view.weight * scale.unsqueeze(-1), bias)
    else:
        weight = view.weight * scale.reshape(-1, *[1] * (view.weight.ndim - 1))
    bias = shift if view.bias is None else scale * view.bias + shift
    return replace(view, weight=weight, bias=bias)


@word
@dataclass(frozen=True)
class norm_of:  # noqa: N801 (a program calls it like a function)
    """What a functional batch norm is given, under the names a module has for it."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    eps: float


def _norm(page: Page, step: Step) -> str:
    """The module, or what stands for it in a call."""
    if step.module is not None:
        return itself(page, step)
    names = ("running_mean", "running_var", "weight", "bias", "eps")
    given = step.settings(*names[:4], "training", "momentum", "eps")
    return f"norm_of({page.keywords({k: given.get(k) for k in names})})"


def _arguments(page: Page, step: Step, h: fx.Node) -> str:
    """The norm, its input, and whether statistics are those of the batch."""
    mode = itself(page, step) if step.module is not None else page.path(step.owner)
    batch = f", batch={mode}.training" if page.live else ""
    return f"{_norm(page, step)}, {page.var(h)}{batch}"


def _evaluated(page: Page, step: Step) -> str:
    return f"evaluated({_norm(page, step)}, {page.var(step.operand)})"


def _normalization(page: Page, step: Step) -> str:
    return f"normalization({_arguments(page, step, step.operand)})"


def _folded(page: Page, step: Step, R: str) -> Sends:
    front = page.facts.folds.get(step.node)
    if front is None:
        return by_rule(page, step, R)

    def layer() -> str:
        view = front.op.layer(page, front)
        return f"fold({view}, {_arguments(page, step, front.node)})"

    return page.redistribute(front, layer, step.node, R)


row(
    *of(nn, "BatchNorm?d"),
    F.batch_norm,
    kind="norm",
    calm=_evaluated,
    backward=_folded,
    layer=_normalization,
    folds=True,
)


def per_channel(norm: Any, h: Tensor) -> Any:
    """Weight and bias of a norm, shaped ``(1, C, 1, ...)``."""
    shape = (1, -1, *[1] * (h.ndim - 2))
    return (t if t is None else t.reshape(shape) for t in (norm.weight, norm.bias))


@word
def instance(norm: Any, h: Tensor) -> Scale:
    """Instance norm as a scale and a shift, each of shape ``(B, C, 1, ...)``.

    Mean and variance are those of each sample and channel: ordinary functions of ``h``,
    which a gradient goes through, while relevance takes them as given.
    """
    if norm.track_running_stats and not norm.training:
        shape = (1, -1, *[1] * (h.ndim - 2))
        mean, var = norm.running_mean.clone(), norm.running_var.clone()
        mean, var = mean.reshape(shape), var.reshape(shape)
    else:
        dims = list(range(2, h.ndim))
        mean = h.mean(dims, keepdim=True)
        var = h.var(dims, correction=0, keepdim=True)
    return scaled(mean, var, norm.eps, *per_channel(norm, h))


@word
def grouped(norm: Any, h: Tensor) -> Scale:
    """Group norm as a scale and a shift, each of shape ``(B, C, 1, ...)``."""
    groups = h.reshape(len(h), norm.num_groups, -1)
    mean, var = groups.mean(2), groups.var(2, correction=0)
    shape = (*h.shape[:2], *[1] * (h.ndim - 2))
    mean, var = (
        t.repeat_interleave(h.shape[1] // norm.num_groups, 1).reshape(shape)
        for t in (mean, var)
    )
    return scaled(mean, var, norm.eps, *per_channel(norm, h))


@word
def layerwise(norm: Any, h: Tensor) -> Scale:
    """Layer norm as a scale and a shift for each position and feature."""
    dims = list(range(-len(norm.normalized_shape), 0))
    mean = h.mean(dims, keepdim=True)
    var = h.var(dims, correction=0, keepdim=True)
    return scaled(mean, var, norm.eps, norm.weight, norm.bias)


def given(view: Callable[[Any, Tensor], Affine]) -> Callable[[Page, Step], str]:
    """How a row names the affine layer that a norm is where its statistics are given.

    Parameters
    ----------
    view : callable ``(norm, h) -> Affine``
    """

    def layer(page: Page, step: Step) -> str:
        return f"{page.bind(view)}({itself(page, step)}, {page.var(step.operand)})"

    return layer


for view, modules in (
    (instance, "InstanceNorm?d"),
    (grouped, "GroupNorm"),
    (layerwise, "LayerNorm"),
):
    row(*of(nn, modules), kind="norm", backward=by_rule, layer=given(view))


def _pass_only(page: Page, step: Step) -> str:
    raise LRPError(
        f"{step.name!r} is a normalization that only the rule Pass is defined for; the "
        f"composite gives it {page.rules[step.node]!r}. Use norm=Pass(), or the module."
    )


row(
    *of(F, "layer_norm", "group_norm", "instance_norm"),
    kind="norm",
    backward=by_rule,
    layer=_pass_only,
)
