r"""What a rule is: how relevance crosses one affine layer.

Every rule here is one sentence in numbers. With input ``a``, output ``z`` and relevance
``R`` of the output, a rule names *branches*. A branch is a denominator
:math:`d = \sum_t f(u_t; w_t) + b` made of inputs :math:`u_t` and weights :math:`w_t`
derived from the layer's own, and the share of the relevance that goes through it:

.. math::

    s = \mathrm{share} \cdot R / (d + \epsilon\,\mathrm{sign}(d)), \qquad
    R_{in} = \sum_t u_t \cdot f^\top(s; w_t)

All of it is ordinary differentiable arithmetic on the live parameters, so the gradient
of relevance is simply its gradient. :meth:`Rule.absorbed` reads from the same branches
what does not arrive: what the bias and what the stabilizer :math:`\epsilon` take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from .layers import Affine, Part, affine
from .numerics import stabilize, undo
from .won import Won


@dataclass(frozen=True)
class Site:
    """One layer at work.

    Attributes
    ----------
    layer : Affine
    a : Tensor of shape ``(B, *in)``
        Its input, padded.
    z : Tensor of shape ``(B, *out)``
        Its output.
    nonnegative : bool
        Whether the input is known to have no negative entry.
    """

    layer: Affine
    a: Tensor
    z: Tensor
    nonnegative: bool = False

    def parts(self, up: Tensor, down: Tensor) -> tuple[Part, ...]:
        """Positive inputs meet the weights ``up``, negative ones the weights ``down``.

        Where no input is negative this is half the work.
        """
        if self.nonnegative:
            return ((self.a, up),)
        return ((self.a.clamp(min=0), up), (self.a.clamp(max=0), down))

    def bias(self, part: Callable[[Tensor], Tensor]) -> Tensor | None:
        """A function of the bias, where there is one."""
        return None if self.layer.bias is None else part(self.layer.bias)


@dataclass(frozen=True)
class Branch:
    """One denominator and the share of relevance that goes through it."""

    parts: tuple[Part, ...]
    bias: Tensor | None = None
    known: Tensor | None = None  # the denominator, where the forward pass has it
    positive: bool = False  # it cannot be negative
    share: float | Tensor = 1.0
    unit: bool = False  # the inputs are ones


Branches = tuple[Branch, ...]


@dataclass(frozen=True)
class Rule:
    """A rule is data: its settings, and the branches it takes at a layer."""

    #: Whether relevance goes on unchanged, so that there is nothing to compute.
    passes: ClassVar[bool] = False

    def branches(self, at: Site) -> Branches:
        """The branches of this rule at one layer."""
        raise TypeError(f"{type(self).__name__} does not say what its branches are")

    @property
    def stabilizer(self) -> Any:
        """What is added to a denominator."""
        return self.epsilon  # type: ignore[attr-defined]

    def __call__(
        self,
        layer: Any,
        a: Tensor,
        z: Tensor,
        R: Tensor | Won,
        nonnegative: bool = False,
    ) -> Tensor:
        """Relevance of the input from the relevance of the output.

        Parameters
        ----------
        layer : module or Affine
            Linear or (transposed) convolution, as a module or as its affine view.
        a : Tensor of shape ``(B, *in)``
            Input of the layer.
        z : Tensor of shape ``(B, *out)``
            Output of the layer for ``a``.
        R : Tensor of shape ``(B, *out)`` or, where B is one, ``(M, *out)``
            Relevance of the output; M rows stand for M starts at one sample. Behind a
            max pooling it may be a :class:`~lrpbook_lib.lrp.won.Won`.
        nonnegative : bool
            Whether ``a`` is known to have no negative entry, which saves half the work.

        Returns
        -------
        Tensor of shape ``(B, *in)`` or ``(M, *in)``
        """
        if self.passes:
            return _passed(a, R.spread(R.R) if isinstance(R, Won) else R)
        if torch.is_autocast_enabled(R.device.type):
            # Relevance is divided by small numbers: half precision is for the model.
            with torch.autocast(R.device.type, enabled=False):
                return self(layer, a, z, R, nonnegative)
        at = _site(layer, a, z, R, nonnegative)
        first, *more = (self._pull(at.layer, branch, R) for branch in self.branches(at))
        out = sum(more, start=first)
        return out if at.layer.pad is None else undo(at.layer.pad, a, out)

    def _pull(self, layer: Affine, branch: Branch, R: Tensor | Won) -> Tensor:
        at = R.at if isinstance(R, Won) else _everywhere
        if branch.positive and branch.known is None:
            # Nothing to take the sign of: the stabilizer goes in with the bias.
            d = at(_raised(layer, branch, self.stabilizer))
        else:
            d = stabilize(at(_denominator(layer, branch)), self.stabilizer)
        s = (R.R if isinstance(R, Won) else R) / d
        if isinstance(branch.share, Tensor):
            s = s * at(branch.share)
        elif branch.share != 1.0:
            s = s * branch.share
        if isinstance(R, Won):
            s = R.spread(s)
        if branch.unit:
            (u, w), *_ = branch.parts
            return layer.transpose(s, w, u)
        return layer.pull(branch.parts, s)

    def absorbed(
        self, layer: Any, a: Tensor, z: Tensor, R: Tensor, nonnegative: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What does not reach the input, per sample: by bias, stabilizer, dead ends.

        Returns
        -------
        bias, stabilizer : Tensor of shape (B,)
            Relevance that the bias and the stabilizer take in their denominators.
        degenerate : Tensor of shape (B,)
            Relevance (in absolute value) that stands before a denominator which the
            stabilizer dominates: there the rule cannot say where it came from.
        """
        bias = stabilizer = degenerate = R.new_zeros(R.shape[0])
        if self.passes:
            return bias, stabilizer, degenerate
        at = _site(layer, a, z, R, nonnegative)
        for branch in self.branches(at):
            d = _denominator(at.layer, branch)
            share = branch.share * R / stabilize(d, self.stabilizer)
            if branch.bias is not None:
                b = at.layer.along_channels(branch.bias, d)
                bias = bias + (share * b).flatten(1).sum(1)
            own = stabilize(d, self.stabilizer) - d
            stabilizer = stabilizer + (share * own).flatten(1).sum(1)
            weak = (d.abs() <= torch.as_tensor(self.stabilizer)).expand_as(share)
            lost = (branch.share * R).expand_as(share).abs() * weak
            degenerate = degenerate + lost.flatten(1).sum(1)
        return bias, stabilizer, degenerate

    def __repr__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self)]
        return f"{type(self).__name__}({', '.join(shown)})"


def _everywhere(values: Tensor) -> Tensor:
    return values


def _site(layer: Any, a: Tensor, z: Tensor, R: Tensor | Won, nonnegative: bool) -> Site:
    view, a = affine(layer), a.to(R.dtype)
    return Site(view, a if view.pad is None else view.pad(a), z, nonnegative)


def _passed(a: Tensor, R: Tensor) -> Tensor:
    if R.shape[1:] != a.shape[1:]:
        raise ValueError(
            f"Pass sends relevance of shape {tuple(R.shape)} through a layer with "
            f"input {tuple(a.shape)}: it needs equal shapes. Give this layer "
            "another rule in the composite, e.g. Composite(names={...: Epsilon()})."
        )
    return R


def _denominator(layer: Affine, branch: Branch) -> Tensor:
    if branch.known is not None:
        return branch.known
    return layer.total(branch.parts, branch.bias)


def _raised(layer: Affine, branch: Branch, epsilon: Any) -> Tensor:
    if branch.bias is not None and branch.bias.ndim == 1:
        return layer.total(branch.parts, branch.bias + epsilon)
    return _denominator(layer, branch) + epsilon
