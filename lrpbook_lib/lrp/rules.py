"""The rules, one by one; what they share is in :mod:`lrpbook_lib.lrp.branch`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .branch import Branch, Branches, Rule, Site


def _positive(t: Tensor) -> Tensor:
    return t.clamp(min=0)


def _negative(t: Tensor) -> Tensor:
    return t.clamp(max=0)


@dataclass(frozen=True, repr=False)
class Epsilon(Rule):
    r"""In proportion to the contributions, small denominators damped.

    .. math::

        R_i = \sum_j \frac{a_i w_{ij}}{z_j + \epsilon\,\mathrm{sign}(z_j)} R_j

    Bach et al. 2015 (``bach2015``), eq. 58. The denominator is the output that the
    forward pass has already computed, so the rule costs one transposed layer.
    ``epsilon`` is a stabilizer when tiny; when large (the paper's code takes 1) it is
    a filter that absorbs relevance of weakly activated units.
    """

    epsilon: float = 1e-6

    def branches(self, at: Site) -> Branches:
        return (Branch(((at.a, at.layer.weight),), at.layer.bias, known=at.z),)


@dataclass(frozen=True, repr=False)
class ZPlus(Rule):
    r"""Only what speaks for the output.

    .. math::

        R_i = \sum_j \frac{a_i^+ w_{ij}^+ + a_i^- w_{ij}^-}
        {\sum_{i'} a_{i'}^+ w_{i'j}^+ + a_{i'}^- w_{i'j}^- + b_j^+} R_j

    Montavon et al. 2017 and 2019 (``montavon2019``) for :math:`a \ge 0`. For signed
    inputs the product of two negatives counts as positive too (the "signed split");
    it departs from the deep Taylor rule there, and equals AlphaBeta(1, 0).
    """

    epsilon: float = 1e-6

    def branches(self, at: Site) -> Branches:
        parts = at.parts(_positive(at.layer.weight), _negative(at.layer.weight))
        return (Branch(parts, at.bias(_positive), positive=True),)


@dataclass(frozen=True, repr=False)
class AlphaBeta(Rule):
    r"""What speaks for and what speaks against the output, weighted apart.

    .. math::

        R_i = \sum_j \left(\alpha \frac{(a_i w_{ij})^+}{\sum_{i'} (a_{i'} w_{i'j})^+
        + b_j^+} - \beta \frac{(a_i w_{ij})^-}{\sum_{i'} (a_{i'} w_{i'j})^- + b_j^-}
        \right) R_j, \qquad \alpha - \beta = 1

    Bach et al. 2015 (``bach2015``), eq. 60. A unit without any negative contribution
    loses its :math:`\beta` part to the stabilizer; the ledger shows how much.
    """

    alpha: float = 2.0
    beta: float = 1.0
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if self.alpha < 0 or self.beta < 0 or abs(self.alpha - self.beta - 1) > 1e-9:
            raise ValueError(
                f"AlphaBeta(alpha={self.alpha}, beta={self.beta}): relevance is only "
                "conserved for alpha - beta = 1 with both at least 0, e.g. (2, 1)."
            )

    def branches(self, at: Site) -> Branches:
        (excitatory,) = ZPlus().branches(at)
        excitatory = replace(excitatory, share=float(self.alpha))
        if self.beta == 0:
            return (excitatory,)
        parts = at.parts(_negative(at.layer.weight), _positive(at.layer.weight))
        return excitatory, Branch(parts, at.bias(_negative), share=-float(self.beta))


@dataclass(frozen=True, repr=False)
class Gamma(Rule):
    r"""Between epsilon (gamma = 0) and z-plus (gamma to infinity).

    .. math::

        R_i = \sum_j \frac{a_i (w_{ij} + \gamma w_{ij}^+)}
                          {\sum_{i'} a_{i'} (w_{i'j} + \gamma w_{i'j}^+)
                           + b_j + \gamma b_j^+} R_j

    Montavon et al. 2019 (``montavon2019``) for :math:`a \ge 0`; generalized to signed
    inputs as in Andéol et al. 2021: where :math:`z_j > 0` the contributions that are
    positive grow by ``1 + gamma``, where :math:`z_j < 0` the negative ones do. A unit
    with :math:`z_j = 0` passes nothing on.
    """

    gamma: float = 0.25
    epsilon: float = 1e-6

    def branches(self, at: Site) -> Branches:
        def more(t: Tensor) -> Tensor:
            return t + self.gamma * _positive(t)

        def less(t: Tensor) -> Tensor:
            return t + self.gamma * _negative(t)

        up, down = more(at.layer.weight), less(at.layer.weight)
        positive, negative = (sign.to(at.a.dtype) for sign in (at.z > 0, at.z < 0))
        return (
            Branch(at.parts(up, down), at.bias(more), share=positive),
            Branch(at.parts(down, up), at.bias(less), share=negative),
        )


def _ones(a: Tensor) -> Tensor:
    return torch.ones_like(a[:1])


@dataclass(frozen=True, repr=False)
class Flat(Rule):
    r"""Evenly over the receptive field, whatever the input and the weights.

    .. math:: R_i = \sum_j \frac{1}{\sum_{i'} 1} R_j

    Lapuschkin et al. 2019. The only rule here, with WSquare and ZBox, under which a
    pixel of value zero can receive relevance. Padding is not part of the input, so
    nothing is lost at the border.
    """

    epsilon: float = 1e-6

    def branches(self, at: Site) -> Branches:
        parts = ((_ones(at.a), torch.ones_like(at.layer.weight)),)
        return (Branch(parts, positive=True, unit=True),)


@dataclass(frozen=True, repr=False)
class WSquare(Rule):
    r"""By the squared weights, whatever the input.

    .. math:: R_i = \sum_j \frac{w_{ij}^2}{\sum_{i'} w_{i'j}^2} R_j

    Montavon et al. 2017, for inputs without bounds. The bias has no part in it.
    """

    epsilon: float = 1e-6

    def branches(self, at: Site) -> Branches:
        parts = ((_ones(at.a), at.layer.weight.square()),)
        return (Branch(parts, positive=True, unit=True),)


@dataclass(frozen=True, repr=False)
class ZBox(Rule):
    r"""For inputs in a box, such as pixels between ``low`` and ``high``.

    .. math::

        R_i = \sum_j \frac{a_i w_{ij} - l_i w_{ij}^+ - h_i w_{ij}^-}
        {\sum_{i'} a_{i'} w_{i'j} - l_{i'} w_{i'j}^+ - h_{i'} w_{i'j}^-} R_j

    Montavon et al. 2017 (written :math:`z^B`). ``low`` and ``high`` are numbers, or a
    tuple with a number for each channel. The bias cancels and takes nothing.
    """

    low: float | tuple[float, ...] = 0.0
    high: float | tuple[float, ...] = 1.0
    epsilon: float = 1e-6

    def branches(self, at: Site) -> Branches:
        layer, w, one = at.layer, at.layer.weight, _ones(at.a)
        low = -self._edge(self.low, one)
        high = -self._edge(self.high, one)
        edges = ((low, _positive(w)), (high, _negative(w)))
        inside = at.z
        if layer.bias is not None:
            inside = at.z - layer.along_channels(layer.bias, at.z)
        # The edges are the same for every sample, so their part is computed once.
        d = inside + layer.total(edges, None)
        return (Branch(((at.a, w), *edges), known=d),)

    @staticmethod
    def _edge(value: float | tuple[float, ...], one: Tensor) -> Tensor:
        if isinstance(value, int | float):
            return one * value
        t = torch.as_tensor(value, dtype=one.dtype, device=one.device)
        return one * (t if one.ndim == 2 else t.reshape(1, -1, *[1] * (one.ndim - 2)))


@dataclass(frozen=True, repr=False)
class Half(Rule):
    r"""Each of two factors takes half, :math:`R_a = R_b = R / 2`. For gates.

    Achtibat et al. 2024 (``achtibat2024``), the uniform rule.
    """

    epsilon: float = 0.0

    def branches(self, at: Site) -> Branches:
        raise TypeError("Half() is for gates: Composite(gate=Half()).")


@dataclass(frozen=True, repr=False)
class Pass(Rule):
    r"""Unchanged: :math:`R_{in} = R`. For elementwise layers and normalizations."""

    passes = True
