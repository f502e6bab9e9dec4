"""Affine layers as the rules see them: a weight, a bias, a map and its transpose.

A rule never looks at a module. It sees ``z = f(a; w) + b`` with ``f`` linear in the
input ``a`` and in the weight ``w``, so that it can put other weights (their positive
part, their square) through the same geometry, forwards and transposed. Weights are read
from the live parameters at every call: nothing is copied and nothing is detached.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .numerics import undo

#: One term of a denominator: what goes in (``None``: ones) and the weight it meets.
Part = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Affine:
    """``z = f(a; weight) + bias``; subclasses say what ``f`` is.

    Attributes
    ----------
    weight, bias : Tensor, Tensor or None
        As the layer holds them, or as a function of what it holds (folding).
    pad : callable or None
        Padding that is not plain zeros, put on the input before ``f``.
    """

    weight: Tensor
    bias: Tensor | None = None
    pad: Callable[[Tensor], Tensor] | None = None

    #: Dimension of the output that carries the bias.
    channel = -1

    @property
    def stackable(self) -> tuple[int, int] | None:
        """Dimensions of input and weight along which parts can stand side by side."""
        return None

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """``f(a; weight) + bias``."""
        raise TypeError(f"{type(self).__name__} does not say what it computes")

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """``f(.; weight)`` transposed at ``s``, shaped like the input ``like``."""
        raise TypeError(f"{type(self).__name__} does not say what its transpose is")

    def along_channels(self, bias: Tensor, z: Tensor) -> Tensor:
        """The bias, shaped so that it can be added to the output ``z``."""
        if self.channel == -1 or bias.ndim != 1:
            return bias
        return bias.reshape(1, -1, *[1] * (z.ndim - 2))

    def total(self, parts: Sequence[Part], bias: Tensor | None) -> Tensor:
        """``sum_t f(u_t; w_t) + bias``, as one call where the parts can be stacked."""
        if len(parts) > 1 and self.stackable is not None:
            dim_a, dim_w = self.stackable
            u = torch.cat([u for u, _ in parts], dim=dim_a)
            w = torch.cat([w for _, w in parts], dim=dim_w)
            return self.forward(u, w, bias)
        z = self.forward(*parts[0], bias)
        for u, w in parts[1:]:
            z = z + self.forward(u, w)
        return z

    def pull(self, parts: Sequence[Part], s: Tensor) -> Tensor:
        """``sum_t u_t * f(.; w_t) transposed at s``, stacked in the same way."""
        if len(parts) > 1 and self.stackable is not None:
            dim_a, dim_w = self.stackable
            w = torch.cat([w for _, w in parts], dim=dim_w)
            c = self.transpose(s, w, parts[0][0]).chunk(len(parts), dim=dim_a)
            terms = [u * c_t for (u, _), c_t in zip(parts, c, strict=True)]
            return sum(terms[1:], start=terms[0])
        out = parts[0][0] * self.transpose(s, parts[0][1], parts[0][0])
        for u, w in parts[1:]:
            out = out + u * self.transpose(s, w, u)
        return out


@dataclass(frozen=True)
class Dense(Affine):
    """``z = a @ weight.T + bias`` over the last dimension; weight ``(out, in)``.

    Dimensions in front of these are positions, each with a weight of its own.
    """

    @property
    def stackable(self) -> tuple[int, int] | None:
        """Inputs beside inputs."""
        return (-1, -1)

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if weight.ndim == 2:
            return F.linear(a, weight, bias)
        z = (weight @ a.unsqueeze(-1)).squeeze(-1)
        return z if bias is None else z + bias

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        if weight.ndim == 2:
            return s @ weight
        return (weight.mT @ s.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class Conv(Affine):
    """A convolution in 1, 2 or 3 dimensions; weight ``(out, in/groups, *k)``.

    A transposed one has the weight ``(in, out/groups, *k)``.
    """

    stride: tuple[int, ...] = (1,)
    padding: tuple[int, ...] = (0,)
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = (0,)
    margin: tuple[int, ...] = ()  # uneven zero padding, as F.pad takes it

    channel = 1

    @property
    def stackable(self) -> tuple[int, int] | None:
        """Inputs beside inputs; within groups the order of channels forbids it."""
        return (1, 0 if self.transposed else 1) if self.groups == 1 else None

    def _run(self, a: Tensor, w: Tensor, b: Any, transposed: bool, more: Any) -> Tensor:
        shape = (self.stride, self.padding, self.dilation, transposed, more)
        return torch.convolution(a, w, b, *shape, self.groups)

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if self.margin:
            a = F.pad(a, self.margin)
        return self._run(a, weight, bias, self.transposed, self.output_padding)

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        sizes = list(like.shape[2:])
        if self.transposed:
            c = self._run(s, weight, None, False, (0,) * len(sizes))
            # Output padding can make the convolution see one position too many.
            for dim, n in enumerate(sizes, start=2):
                c = c.narrow(dim, 0, n)
            return c
        for i in range(len(self.margin) // 2):  # F.pad counts from the last dimension
            sizes[-1 - i] += self.margin[2 * i] + self.margin[2 * i + 1]
        # Rows of the input that the last stride steps over would be cut off.
        steps = zip(self.stride, self.padding, self.dilation, strict=True)
        extra = tuple(
            n - ((m - 1) * stride - 2 * pad + dilation * (k - 1) + 1)
            for n, m, k, (stride, pad, dilation) in zip(
                sizes, s.shape[2:], weight.shape[2:], steps, strict=True
            )
        )
        c = self._run(s, weight, None, True, extra)
        return F.pad(c, [-side for side in self.margin]) if self.margin else c


@dataclass(frozen=True)
class Scale(Affine):
    """``z = weight * a + bias``, a number a channel: a normalization, folded."""

    channel = 1

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        z = a * self.along_channels(weight, a)
        return z if bias is None else z + self.along_channels(bias, a)

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return s * self.along_channels(weight, s)


@dataclass(frozen=True)
class Fixed(Affine):
    """A linear map without parameters and without negative weights, such as a mean.

    Its ``weight`` is the number one, by which rules see "all weights positive".
    """

    map: Callable[[Tensor], Tensor] = field(default=lambda a: a)

    def forward(self, a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return self.map(a) * weight

    def transpose(self, s: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        return undo(self.map, like, s * weight)


def fixed(map: Callable[[Tensor], Tensor], a: Tensor) -> Fixed:
    """The map as an affine layer, in the precision of ``a``."""
    return Fixed(torch.ones((), dtype=a.dtype, device=a.device), map=map)


def _tuple(value: Any, n: int) -> tuple[int, ...]:
    return (value,) * n if isinstance(value, int) else tuple(value)


def conv(
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    transposed: bool = False,
    output_padding: int | Sequence[int] = 0,
) -> Conv:
    """A convolution from the arguments of ``F.conv2d`` and its kin."""
    n = weight.ndim - 2
    dilation = _tuple(dilation, n)
    if padding == "same":
        reach = zip(dilation, weight.shape[2:], strict=True)
        around = [step * (size - 1) for step, size in reach]
    else:
        around = [2 * p for p in _tuple(0 if padding == "valid" else padding, n)]
    view = Conv(
        weight,
        bias,
        stride=_tuple(stride, n),
        padding=tuple(size // 2 for size in around),
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        output_padding=_tuple(output_padding, n),
    )
    # As F.pad takes it: from the last dimension, a number for each side.
    margin = [m for size in reversed(around) for m in (size // 2, size - size // 2)]
    if padding_mode != "zeros":

        def pad(a: Tensor) -> Tensor:
            return F.pad(a, margin, mode=padding_mode)

        return replace(view, padding=(0,) * n, pad=pad)
    if any(size % 2 for size in around):
        return replace(view, padding=(0,) * n, margin=tuple(margin))
    return view


def conv_transposed(
    weight: Tensor, bias: Tensor | None = None, **settings: Any
) -> Conv:
    """A transposed convolution from the arguments of ``F.conv_transpose2d``."""
    return conv(weight, bias, transposed=True, **settings)


_SETTINGS = tuple(inspect.signature(conv).parameters)


def affine(layer: Any) -> Affine:
    """The affine view of a module; an affine view is returned as it is."""
    if isinstance(layer, Affine):
        return layer
    if isinstance(layer, nn.Linear):
        return Dense(layer.weight, layer.bias)
    if isinstance(layer, nn.modules.conv._ConvNd):
        return conv(**{key: getattr(layer, key) for key in _SETTINGS})
    raise TypeError(
        f"{type(layer).__name__} has no affine view. Rules need one of Linear, "
        "Conv1d/2d/3d, ConvTranspose1d/2d/3d, or an Affine object; a layer of your own "
        "can bring its own rule: see lrpbook_lib.lrp.register."
    )
