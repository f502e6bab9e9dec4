"""Losses of the tumor score: cross entropy and score, combined in one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from lrpbook_lib.attribution import tumor_lrp_score

from .loss import CrossEntropy, at_least

# Below this a score counts as this: 1 / score**k then stays finite in float32.
TINY = 1e-6


@dataclass(frozen=True, kw_only=True)
class ScoreLoss(CrossEntropy, ABC):
    r"""A loss :math:`L(CE, s)` of cross entropy and the tumor score :math:`s`.

    Attributes
    ----------
    floor : float
        From 0 to below 1. The losses divide by :math:`s` or take its logarithm; with a
        floor :math:`f` they use :math:`f + (1 - f) s` in its place. Unlike
        :math:`\max(s, f)` it keeps a gradient for maps that miss the tumor, which are
        those in need of one. Zero gives the formula as published.
    positive : {"sum", "channel"}
        Where the score clips: see :func:`~lrpbook_lib.guidance.tumor_lrp_score`.
    area_normalized : bool
        Score by mean instead of sum of relevance.
    """

    floor: float = 0.1
    positive: Literal["sum", "channel"] = "sum"
    area_normalized: bool = False
    attribution: ClassVar[str] = "lrp"

    def __post_init__(self) -> None:
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor={self.floor} lies outside [0, 1).")
        if self.positive not in ("sum", "channel"):
            raise ValueError(
                f"positive is {self.positive!r}; it takes 'sum' or 'channel'."
            )
        if self.strength is not None:
            at_least(self.strength, getattr(self, self.strength))

    def score(self, relevance: Tensor, mask: Tensor, brain: Tensor) -> Tensor:
        """The tumor score ``(B,)`` in the form that the settings name."""
        form: Any = {"positive": self.positive, "area_normalized": self.area_normalized}
        return tumor_lrp_score(relevance, mask, brain, **form)

    def guide(self, ce: Tensor, score: Tensor, guided: Tensor, *seen: Tensor) -> Tensor:
        """The formula, of the floored score."""
        # One where there is no mask: its loss is thrown away, and must be finite.
        return self.combine(ce, self.floored(torch.where(guided, score, 1.0)), guided)

    def floored(self, score: Tensor) -> Tensor:
        """The score that the formula sees."""
        return (self.floor + (1 - self.floor) * score).clamp(min=TINY)

    @abstractmethod
    def combine(self, ce: Tensor, score: Tensor, guided: Tensor) -> Tensor:
        """The formula: ``(B,)`` from cross entropy and floored score."""

    def weight(self, ce: Tensor, score: Tensor) -> Tensor:
        """The effective weight of relevance, by differentiating the formula."""
        with torch.enable_grad():
            ce = ce.detach().clamp(min=0).requires_grad_()
            score = score.detach().requires_grad_()
            whole = torch.ones_like(score, dtype=torch.bool)
            loss = self.combine(ce, self.floored(score), whole)
            by_ce, by_score = torch.autograd.grad(
                loss.sum(), (ce, score), allow_unused=True
            )
        if by_score is None:
            return torch.zeros_like(ce).detach()
        return -by_score / by_ce


@dataclass(frozen=True)
class LRPLoss(ScoreLoss):
    r"""The paper's loss: cross entropy over a power of the tumor score.

    .. math:: L = \frac{CE}{s^k}, \qquad
        \nabla L = s^{-k} \left( \nabla CE - k \frac{CE}{s} \nabla s \right)

    Sefcik & Benesova 2021 (``sefcik2021``), k = 1, 2, 3. The pull on relevance,
    :math:`k\,CE/s`, fades as the network learns its classes and explodes where the map
    misses the tumor; the step grows with :math:`s^{-k}`.

    Here ``floor`` :math:`f` bounds that growth whatever the power: the score counts as
    :math:`f^{1/k} + (1 - f^{1/k}) s`, so that no sample counts more than :math:`1/f`
    times its cross entropy. Samples that the network gets wrong tend to have maps that
    miss the tumor; unbounded, they drown all others, and the network swings from one
    class to the other.

    Parameters
    ----------
    power : float
        The paper's k; ``floor=0`` is the loss as written.
    detach : bool
        Treat the score as a number without gradient, as the authors' code does:
        :math:`\nabla L = s^{-k} \nabla CE`, which scales the step and leaves relevance
        alone.
    pooled : bool
        Divide by the power of the batch's mean score, as the authors' code does,
        instead of each sample by its own. Samples without a mask have no part in it.
    """

    power: float = 1.0
    detach: bool = False
    pooled: bool = False
    strength: ClassVar[str | None] = "power"

    def floored(self, score: Tensor) -> Tensor:
        """The score that the formula sees: its power is no less than ``floor``."""
        floor = self.floor ** (1 / self.power) if self.power else 0.0
        return (floor + (1 - floor) * score).clamp(min=TINY)

    def combine(self, ce: Tensor, score: Tensor, guided: Tensor) -> Tensor:
        """Cross entropy over the power of the score."""
        score = score.detach() if self.detach else score
        if self.pooled:
            counted = guided.to(score.dtype)
            score = (score * counted).sum() / counted.sum().clamp(min=1)
            score = score.clamp(min=TINY)
        return ce / score**self.power


@dataclass(frozen=True)
class SelfNormalizedLoss(ScoreLoss):
    r"""The paper's direction without its step: the loss has the size of CE.

    .. math:: L = CE \left( \frac{\mathrm{sg}(s)}{s} \right)^k, \qquad
        \nabla L = \nabla CE - k \frac{CE}{s} \nabla s

    with sg: stop gradient. What :class:`LRPLoss` (Sefcik & Benesova 2021,
    ``sefcik2021``) does beside scaling the learning rate, and only that.

    Parameters
    ----------
    power : float
        The paper's k.
    """

    power: float = 1.0
    strength: ClassVar[str | None] = "power"

    def combine(self, ce: Tensor, score: Tensor, guided: Tensor) -> Tensor:
        """Cross entropy times a factor that is one and has a gradient."""
        return ce * (score.detach() / score) ** self.power


@dataclass(frozen=True)
class LogRatioLoss(ScoreLoss):
    r"""Cross entropy minus the logarithm of the score.

    .. math:: L = CE - k \log s, \qquad \nabla L = \nabla CE - \frac{k}{s} \nabla s

    The score enters as a likelihood would: the pull does not fade as CE does. A
    variation of ``sefcik2021`` of our own.

    Parameters
    ----------
    power : float
        The k of the formula.
    """

    power: float = 0.1
    strength: ClassVar[str | None] = "power"

    def combine(self, ce: Tensor, score: Tensor, guided: Tensor) -> Tensor:
        """Cross entropy minus the weighted logarithm of the score."""
        return ce - self.power * score.log()


@dataclass(frozen=True)
class EnergyLoss(ScoreLoss):
    r"""Cross entropy plus the share of relevance outside the tumor.

    .. math:: L = CE + \lambda (1 - s)

    The energy loss of Rao et al. 2023 (``rao2023``), with the brain for the image.

    Parameters
    ----------
    lam : float
        The weight of the share outside.
    """

    lam: float = 1.0
    floor: float = field(default=0.0, kw_only=True)
    strength: ClassVar[str | None] = "lam"

    def combine(self, ce: Tensor, score: Tensor, guided: Tensor) -> Tensor:
        """Cross entropy plus the weighted share outside."""
        return ce + self.lam * (1 - score)
