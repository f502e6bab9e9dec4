"""Normalizations as affine layers: functions of their own parameters.

Relevance takes the statistics of a normalization as given; what is left is a scale and
a shift for each channel. Behind a linear layer these fold into its weight and bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .layers import Affine, ConvTransposed, Dense, Scale, affine


def _statistics(
    norm: Any, h: Tensor, batch: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    if batch or norm.running_mean is None:
        dims = [d for d in range(h.ndim) if d != 1]
        mean = h.mean(dims)
        var = h.var(dims, correction=0)
    else:
        # A later training pass updates the statistics in place; a gradient through
        # this one still needs the values it has used.
        mean, var = norm.running_mean.clone(), norm.running_var.clone()
    return mean, var, norm.weight, norm.bias


def normalization(norm: Any, h: Tensor, batch: bool = False) -> Scale:
    r"""Batch norm as ``z = scale * h + shift``, a function of its own parameters.

    .. math::

        scale = \gamma / \sqrt{\sigma^2 + \epsilon}, \qquad
        shift = \beta - \mu \, scale

    Parameters
    ----------
    norm : nn.BatchNorm1d, nn.BatchNorm2d or nn.BatchNorm3d
    h : Tensor of shape ``(B, C, *)``
        The input of the norm, read only where statistics are those of the batch.
    batch : bool
        Whether to use the statistics of this batch, as batch norm does in training.
    """
    mean, var, gamma, beta = _statistics(norm, h, batch)
    scale = torch.rsqrt(var + norm.eps)
    if gamma is not None:
        scale = scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    return Scale(scale, shift)


def evaluated(norm: Any, h: Tensor) -> Tensor:
    """Batch norm in evaluation form, whatever mode the module is in."""
    view = normalization(norm, h)
    return view.forward(h, view.weight, view.bias)


def instance(norm: Any, h: Tensor) -> Scale:
    """Instance norm as ``z = scale * h + shift``, each of shape ``(B, C, 1, ...)``.

    Mean and variance are those of each sample and channel: ordinary functions of ``h``,
    which a gradient goes through, while relevance takes them as given.
    """
    dims = list(range(2, h.ndim))
    frozen = norm.track_running_stats and not norm.training
    if frozen:
        shape = (1, -1, *[1] * len(dims))
        mean = norm.running_mean.clone().reshape(shape)
        var = norm.running_var.clone().reshape(shape)
    else:
        mean = h.mean(dims, keepdim=True)
        var = h.var(dims, correction=0, keepdim=True)
    scale = torch.rsqrt(var + norm.eps)
    shape = (1, -1, *[1] * len(dims))
    if norm.weight is not None:
        scale = scale * norm.weight.reshape(shape)
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias.reshape(shape)
    return Scale(scale, shift)


@dataclass(frozen=True)
class DenseByPosition(Affine):
    """A dense layer with a weight ``(out, in)`` and a bias ``(out,)`` a position."""

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = (weight @ a.unsqueeze(-1)).squeeze(-1)
        return z if bias is None else z + bias

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return (weight.mT @ s.unsqueeze(-1)).squeeze(-1)


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
    if isinstance(view, ConvTransposed):
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


@dataclass(frozen=True)
class NormParameters:
    """What a functional batch norm is given, under the names a module has for it."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    eps: float


def norm_of(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> NormParameters:
    """Statistics and parameters of ``F.batch_norm`` as one object."""
    return NormParameters(running_mean, running_var, weight, bias, eps)
