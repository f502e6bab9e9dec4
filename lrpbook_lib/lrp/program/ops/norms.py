"""Normalizations as affine layers: functions of their own parameters.

Relevance takes the statistics of a normalization as given; what is left is a scale and
a shift. Those of a batch norm behind an affine layer fold into its weight and bias; all
other norms have the rule Pass unless the composite says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...layers import Affine, Conv, Dense, Scale, affine
from ..rows import of, row, word

Moments = tuple[Tensor, Tensor]


def scaled(
    moments: Moments, eps: float, weight: Tensor | None, bias: Tensor | None
) -> Scale:
    r"""A normalization as ``z = scale * h + shift``.

    .. math::

        scale = \gamma / \sqrt{\sigma^2 + \epsilon}, \qquad
        shift = \beta - \mu \, scale
    """
    mean, var = moments
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
        moments = h.mean(dims), h.var(dims, correction=0)
    else:
        # A later training pass updates the statistics in place; a gradient through
        # this one still needs the values it has used.
        moments = norm.running_mean.clone(), norm.running_var.clone()
    return scaled(moments, norm.eps, norm.weight, norm.bias)


@word
def evaluated(norm: Any, h: Tensor) -> Tensor:
    """Batch norm in evaluation form, whatever mode the module is in."""
    view = normalization(norm, h)
    return view.forward(h, view.weight, view.bias)


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
    view, by = affine(layer), normalization(norm, h, batch)
    w, scale, shift = view.weight, by.weight, by.bias
    assert shift is not None
    if isinstance(view, Dense) and h.ndim > 2:
        # The channels of the norm are positions of the layer, not its outputs.
        scale, shift = (t.reshape(-1, *[1] * (h.ndim - 2)) for t in (scale, shift))
        bias = shift.expand(*shift.shape[:-1], h.shape[-1])
        if view.bias is not None:
            bias = bias + scale * view.bias
        return Dense(w * scale.unsqueeze(-1), bias)
    if isinstance(view, Conv) and view.transposed:
        # Weight (in, out/groups, *k): the groups lie along the input channels.
        parts = w.unflatten(0, (view.groups, -1))
        by_group = scale.reshape(view.groups, 1, w.shape[1], *[1] * (w.ndim - 2))
        weight = (parts * by_group).reshape(w.shape)
    else:
        weight = w * scale.reshape(-1, *[1] * (w.ndim - 1))
    bias = shift if view.bias is None else scale * view.bias + shift
    return replace(view, weight=weight, bias=bias)


@word
@dataclass(frozen=True)
class norm_of:  # noqa: N801 (programs call it like a function)
    """What a functional batch norm is given, under the names a module has for it."""

    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    eps: float


_NORM_OF = (
    "norm_of(running_mean={running_mean}, running_var={running_var}, "
    "weight={weight}, bias={bias}, eps={eps})"
)
_GIVEN = dict.fromkeys(("running_mean", "running_var", "weight", "bias"))
for keys, norm in ((of(nn, "BatchNorm?d"), "{module}"), ([F.batch_norm], _NORM_OF)):
    row(
        *keys,
        kind="norm",
        norm=norm,
        calm="evaluated({norm}, {a})",
        layer="normalization({norm}, {a}{batch})",
        settings={**_GIVEN, "training": False, "momentum": 0.1, "eps": 1e-5},
    )


@word
def instance(norm: Any, h: Tensor) -> Scale:
    """Instance norm as a scale and a shift, each of shape ``(B, C, 1, ...)``.

    Mean and variance are those of each sample and channel: ordinary functions of ``h``,
    which a gradient goes through, while relevance takes them as given.
    """
    if norm.track_running_stats and not norm.training:
        moments = _channels(h, norm.running_mean.clone(), norm.running_var.clone())
    else:
        moments = _moments(h, range(2, h.ndim))
    return scaled(moments, norm.eps, *_channels(h, norm.weight, norm.bias))


@word
def grouped(norm: Any, h: Tensor) -> Scale:
    """Group norm as a scale and a shift, each of shape ``(B, C, 1, ...)``."""
    groups = h.unflatten(1, (norm.num_groups, -1))
    mean, var = (
        t.expand(-1, -1, groups.shape[2], *t.shape[3:]).flatten(1, 2)
        for t in _moments(groups, range(2, groups.ndim))
    )
    return scaled((mean, var), norm.eps, *_channels(h, norm.weight, norm.bias))


@word
def layerwise(norm: Any, h: Tensor) -> Scale:
    """Layer norm as a scale and a shift for each position and feature."""
    moments = _moments(h, range(-len(norm.normalized_shape), 0))
    return scaled(moments, norm.eps, norm.weight, norm.bias)


def _moments(h: Tensor, dims: Iterable[int]) -> Moments:
    dims = list(dims)
    return h.mean(dims, keepdim=True), h.var(dims, correction=0, keepdim=True)


def _channels(h: Tensor, *values: Tensor | None) -> Any:
    """One value a channel, shaped ``(1, C, 1, ...)`` beside ``h``."""
    shape = (1, -1, *[1] * (h.ndim - 2))
    return [None if v is None else v.reshape(shape) for v in values]


for name, view in (
    ("InstanceNorm?d", "instance"),
    ("GroupNorm", "grouped"),
    ("LayerNorm", "layerwise"),
):
    row(*of(nn, name), kind="norm", layer=view + "({module}, {a})")
row(*of(F, "layer_norm", "group_norm", "instance_norm"), kind="norm")
