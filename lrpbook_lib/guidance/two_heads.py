"""Losses with a second task beside the first one, for networks with a second head.

Nothing is asked of relevance. They are what else can be done with masks, or with the
names of sites, and yardsticks for guidance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lrpbook_lib.lrp import Composite
from lrpbook_lib.lrp.start import Start

from .loss import CrossEntropy, Told, at_least, cross_entropy
from .penalties import PenaltyLoss
from .segmentation import segmentation_loss


class TwoHeads(nn.Module):
    """A network that answers with what both of its heads say of one pass.

    Parameters
    ----------
    model : nn.Module
    method : str
        Of the model: takes images and target, answers with logits and the rest.
    wanted : str
        By whom, for the message where there is none.
    """

    def __init__(self, model: nn.Module, method: str, wanted: str) -> None:
        super().__init__()
        if not callable(getattr(model, method, None)):
            raise ValueError(
                f"{wanted} trains a second head, by a method {method}(x, target), and "
                f"{type(model).__name__} has none."
            )
        self.model, self.method = model, method

    def forward(self, x: Tensor, target: Any = None) -> tuple[Tensor, Tensor]:
        """Logits, and what the second head says."""
        return getattr(self.model, self.method)(x, target)


@dataclass(frozen=True)
class SegmentationLoss(PenaltyLoss):
    r"""Cross entropy, and a segmentation of the tumor from the same features.

    .. math:: L = CE + \lambda \, S(u, M)

    with u a network's own map of where the tumor is, as logits, and S the sum of cross
    entropy by pixel and Dice loss
    (:func:`~lrpbook_lib.guidance.segmentation.segmentation_loss`). The masks teach the
    features what a tumor looks like; nothing keeps the classifier from looking
    elsewhere. A sample without a mask trains on cross entropy alone.

    Parameters
    ----------
    lam : float
        The weight of the second task.
    """

    attribution: ClassVar[str] = "own"
    network: ClassVar[str | None] = "SegmentedCNN"
    limited: ClassVar[bool] = False

    def explainer(
        self,
        model: nn.Module,
        composite: str | Composite = "epsilon-plus",
        start: Start = "logit",
    ) -> nn.Module:
        """Both answers of the network, by its method ``own_map``, in one pass."""
        return TwoHeads(model, "own_map", type(self).__name__)

    def penalty(self, relevance: Tensor, inside: Tensor, within: Tensor) -> Tensor:
        """How far the segmentation, ``relevance``, is from the mask."""
        return segmentation_loss(relevance.sum(1), inside, within)


@dataclass(frozen=True)
class AdversarialLoss(CrossEntropy):
    r"""Cross entropy, and features from which the site cannot be told.

    .. math:: L = CE + \lambda \, CE_{site}

    of Ganin et al. 2016 (``ganin2016``), for a network that reverses the gradient
    between its features and the head that tells the site: features :math:`\theta_f`
    and head :math:`\theta_s` follow

    .. math:: \theta_f \leftarrow \theta_f - \mu \left( \frac{\partial CE}{\partial
        \theta_f} - \lambda \frac{\partial CE_{site}}{\partial \theta_f} \right), \qquad
        \theta_s \leftarrow \theta_s - \mu \lambda \frac{\partial CE_{site}}{\partial
        \theta_s}

    A warm-up of the training's schedule lets :math:`\lambda` rise, as they do. Where
    sites treat one class only, what hides the site hides the class. A sample of unknown
    site trains on cross entropy alone.

    Parameters
    ----------
    lam : float
        How strongly the features hide the site.
    """

    lam: float = 0.1
    attribution: ClassVar[str] = "sites"
    strength: ClassVar[str | None] = "lam"
    network: ClassVar[str | None] = "AdversarialCNN"
    wants: ClassVar[tuple[str, ...]] = ("site",)
    limited: ClassVar[bool] = False

    def __post_init__(self) -> None:
        at_least("lam", self.lam)

    def explainer(
        self,
        model: nn.Module,
        composite: str | Composite = "epsilon-plus",
        start: Start = "logit",
    ) -> nn.Module:
        """Both answers of the network, by its method ``with_sites``, in one pass."""
        return TwoHeads(model, "with_sites", type(self).__name__)

    def tell(
        self, logits: Tensor, target: Tensor, relevance: Tensor | None, *masks: Any
    ) -> Told:
        """The loss of each sample; ``relevance`` are logits of the sites.

        In the place of masks stand the numbers of the sites, ``(B,)``, -1 for unknown.
        """
        if relevance is None:
            return super().tell(logits, target, relevance)
        ce, site = cross_entropy(logits, target), masks[0]
        if len(site) and int(site.max()) >= relevance.shape[1]:
            raise ValueError(
                f"A sample is of site {int(site.max())}, counted from 0; the network "
                f"tells {relevance.shape[1]}: make it with sites={int(site.max()) + 1}."
            )
        told = cross_entropy(relevance, site.clamp(min=0))
        return Told(ce + self.lam * torch.where(site >= 0, told, 0.0), ce)
