"""Losses that compare a map with the mask, pixel by pixel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lrpbook_lib.attribution.scores import region_of

from .loss import CrossEntropy, at_least


@dataclass(frozen=True)
class PenaltyLoss(CrossEntropy, ABC):
    r"""Cross entropy plus a penalty on the map, :math:`L = CE + \lambda P(R, M)`.

    Attributes
    ----------
    lam : float
        The weight of the penalty.
    """

    lam: float = 1.0
    attribution: ClassVar[str] = "lrp"
    strength: ClassVar[str | None] = "lam"

    def __post_init__(self) -> None:
        at_least("lam", self.lam)

    def guide(self, ce: Tensor, score: Tensor, guided: Tensor, *seen: Tensor) -> Tensor:
        """Cross entropy plus the weighted penalty."""
        relevance, mask, brain = seen
        heat = relevance.sum(1)  # (B, *space)
        inside = region_of(mask, heat)
        within = torch.maximum(inside, region_of(brain, heat))
        return ce + self.lam * self.penalty(relevance, inside, within)

    @abstractmethod
    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """The penalty ``(B,)``; ``inside`` the tumor and ``within`` the brain as 0, 1.

        ``relevance`` is ``(B, C, *space)``, the regions are ``(B, *space)``.
        """


@dataclass(frozen=True)
class GrazPlusLoss(PenaltyLoss):
    r"""Reward relevance inside a region, with LRP started at the probabilities.

    .. math:: L = CE - \lambda \sum_v M_v R_v, \qquad R_k^{out} = p_k

    Graz+ of Tinauer et al. 2022 (``tinauer2022``), who mask with the brain and explain
    by z+ throughout (composite "zplus"), so that relevance is positive and sums to
    about one.

    Parameters
    ----------
    lam : float
        1 in the original.
    region : {"tumor", "brain"}
        What M is.
    """

    region: Literal["tumor", "brain"] = "tumor"
    start: ClassVar[Literal["softmax"] | None] = "softmax"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.region not in ("tumor", "brain"):
            raise ValueError(f"region is {self.region!r}; it takes 'tumor' or 'brain'.")

    def marked(self, mask: Tensor, brain: Tensor) -> Tensor:
        """A mask of the region; a head without a tumor has a brain all the same."""
        return super().marked(mask if self.region == "tumor" else brain, brain)

    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """Minus the relevance in the region."""
        chosen = inside if self.region == "tumor" else within
        return -(relevance.sum(1) * chosen).flatten(1).sum(1)


@dataclass(frozen=True)
class RRRLoss(PenaltyLoss):
    r"""Right for the right reasons: no input gradient where nothing should matter.

    .. math:: L = CE + \lambda \sum_{i \notin M}
        \left( \frac{\partial}{\partial x_i} \sum_k \log p_k \right)^2

    Ross et al. 2017 (``ross2017``). Wants the input gradient of the summed log
    probabilities as ``relevance``.

    Parameters
    ----------
    lam : float
        Gradients are small numbers: the original takes 1000.
    """

    lam: float = 10.0
    attribution: ClassVar[str] = "input_gradient"

    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """Squared gradient outside the tumor, summed."""
        return (relevance.square().sum(1) * (1 - inside)).flatten(1).sum(1)


@dataclass(frozen=True)
class HINTLoss(PenaltyLoss):
    r"""The Grad-CAM map, scaled to a maximum of one, should be the mask.

    .. math:: L = CE + \frac{\lambda}{|B|} \sum_{i \in B}
        \left( \frac{A_i}{\max A} - M_i \right)^2

    HINT of Selvaraju et al. 2019 (``selvaraju2019``) in the form of Friedrich et al.
    2023 (``friedrich2023``), inside the brain. Wants Grad-CAM as ``relevance``.
    """

    attribution: ClassVar[str] = "gradcam"

    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """Mean squared difference inside the brain."""
        return mean_within((to_one(relevance) - inside).square(), within)


@dataclass(frozen=True)
class L1Loss(PenaltyLoss):
    r"""Positive relevance, scaled to a maximum of one, should be the mask.

    .. math:: L = CE + \frac{\lambda}{|B|} \sum_{i \in B}
        \left| \frac{R_i^+}{\max R^+} - M_i \right|

    The L1 loss of Rao et al. 2023 (``rao2023``), inside the brain.
    """

    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """Mean absolute difference inside the brain."""
        return mean_within((to_one(relevance) - inside).abs(), within)


@dataclass(frozen=True)
class BCELoss(PenaltyLoss):
    r"""As :class:`L1Loss`, with binary cross entropy between map and mask.

    .. math:: L = CE - \frac{\lambda}{|B|} \sum_{i \in B}
        M_i \log a_i + (1 - M_i) \log (1 - a_i), \quad a = R^+ / \max R^+

    After the per-pixel cross entropy of Rao et al. 2023 (``rao2023``), who leave the
    second term out. Values are kept 0.001 away from 0 and 1.
    """

    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """Mean binary cross entropy inside the brain."""
        # Squeezed rather than clamped: a clamped pixel would have no gradient.
        a = 0.001 + 0.998 * to_one(relevance)
        return mean_within(-(inside * a.log() + (1 - inside) * (1 - a).log()), within)


def to_one(relevance: Tensor) -> Tensor:
    """Positive relevance, channels summed, over its maximum; zero where none is."""
    heat = relevance.sum(1).clamp(min=0)
    peak = heat.flatten(1).amax(1).reshape(-1, *[1] * (heat.ndim - 1))
    return torch.where(peak > 0, heat / torch.where(peak > 0, peak, 1.0), 0.0)


def mean_within(values: Tensor, within: Tensor) -> Tensor:
    """Means ``(B,)`` of values ``(B, *space)`` where ``within`` is one."""
    inside = (values * within).flatten(1).sum(1)
    return inside / within.flatten(1).sum(1).clamp(min=1)
