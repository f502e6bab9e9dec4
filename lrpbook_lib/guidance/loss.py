"""What every guidance loss is: cross entropy, and something to say about relevance."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrpbook_lib.attribution import explainer, tumor_lrp_score
from lrpbook_lib.lrp import Composite
from lrpbook_lib.lrp.start import Start


class Told(NamedTuple):
    """A loss and what it was computed from, each ``(B,)``; the last two of a map."""

    loss: Tensor
    ce: Tensor
    score: Tensor | None = None  # of the tumor, in the form that the loss takes
    guided: Tensor | None = None  # whether there is a mask


#: The losses by name: each class puts itself here, one's own too.
LOSSES: dict[str, type[CrossEntropy]] = {}


@dataclass(frozen=True)
class CrossEntropy:
    r"""Cross entropy alone, :math:`-\log p_c`: what every other loss adds to.

    Every loss is called in the same way and answers per sample, so that the trainer
    reduces. A sample whose mask is empty trains on cross entropy alone: where the
    tumor lies is then unknown, and nothing is said of the relevance.

    Attributes
    ----------
    attribution : str
        Which map the loss wants as ``relevance``: ``"none"``, ``"lrp"`` for the rules
        that the training is set to, or the name of another explainer.
    start : {"softmax"} or None
        Where LRP starts, for a loss that insists: "softmax" is the probabilities of all
        classes. None leaves it to the settings of the training.
    strength : str
        Name of the setting that says how much relevance counts; a schedule scales it.
    wants : tuple of str
        What it wants of a batch beside, where it wants a map: by default the masks.
    limited : bool
        Whether the limit that a training sets to the gradient through relevance is for
        it: one that asks nothing of relevance goes without.
    network : str or None
        Name of a network that can be trained by it, where not any can.
    """

    attribution: ClassVar[str] = "none"
    start: ClassVar[Literal["softmax"] | None] = None
    strength: ClassVar[str | None] = None
    wants: ClassVar[tuple[str, ...]] = ("tumor", "brain")
    limited: ClassVar[bool] = True
    network: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        if ABC not in cls.__bases__:
            LOSSES[cls.__name__] = cls

    def explainer(
        self,
        model: nn.Module,
        composite: str | Composite = "epsilon-plus",
        start: Start = "logit",
    ) -> nn.Module:
        """The explainer whose map this loss wants.

        For ``"lrp"``, ``composite`` and ``start`` say which rules, or which other
        explainer, and where relevance starts: see
        :func:`~lrpbook_lib.attribution.explainer`.
        """
        name = composite if self.attribution == "lrp" else self.attribution
        return explainer(model, name, start=self.start or start, check=False)

    def __call__(
        self,
        logits: Tensor,
        target: Tensor,
        relevance: Tensor | None,
        mask: Tensor | None,
        brain: Tensor | None,
    ) -> Tensor:
        """The loss of each sample.

        Parameters
        ----------
        logits : Tensor of shape (B, classes)
        target : Tensor of shape (B,)
            Class indices.
        relevance : Tensor of shape ``(B, C, *space)``
            The map that ``attribution`` names, with its graph; None for "none".
        mask, brain : Tensor of shape ``(B, *space)``
            The tumor (bool, or labels above zero), and where relevance counts. Without
            relevance nothing asks for them.

        Returns
        -------
        Tensor of shape (B,)
        """
        return self.tell(logits, target, relevance, mask, brain).loss

    def tell(
        self, logits: Tensor, target: Tensor, relevance: Tensor | None, *masks: Any
    ) -> Told:
        """The loss of each sample, as above, with its cross entropy and score."""
        ce = cross_entropy(logits, target)
        if relevance is None:
            if self.attribution != "none":
                raise ValueError(
                    f"{type(self).__name__} wants relevance (attribution "
                    f"{self.attribution!r}) and got None: see its explainer(model)."
                )
            return Told(ce, ce)
        seen = (relevance, *masks)
        guided = self.marked(*masks)
        score = self.score(*seen)
        loss = self.guide(ce, score, guided, *seen)
        return Told(torch.where(guided, loss, ce), ce, score.detach(), guided)

    def marked(self, mask: Tensor, brain: Tensor) -> Tensor:
        """Which samples ``(B,)`` have what guidance goes by: a mask of the tumor."""
        return (mask.flatten(1) > 0).any(1)

    def score(self, relevance: Tensor, mask: Tensor, brain: Tensor) -> Tensor:
        """The tumor score ``(B,)``: here to be told, without a graph."""
        return tumor_lrp_score(relevance.detach(), mask, brain)

    def guide(self, ce: Tensor, score: Tensor, guided: Tensor, *seen: Tensor) -> Tensor:
        """The loss ``(B,)`` of samples that are ``guided``: those with a mask.

        ``seen`` are relevance, mask and brain.
        """
        return ce

    def weight(self, ce: Tensor, score: Tensor) -> Tensor:
        r"""How strongly relevance pulls beside cross entropy.

        For a loss :math:`L(CE, s)` of the tumor score, the gradient is
        :math:`\partial_{CE} L \, (\nabla CE - \lambda \nabla s)` and this is
        :math:`\lambda = -\partial_s L / \partial_{CE} L`. For a penalty
        :math:`CE + \lambda P` on the map it is :math:`\lambda`.

        Parameters
        ----------
        ce, score : Tensor of shape (B,)
        """
        return torch.full_like(ce, float(getattr(self, self.strength or "", 0.0)))

    def scaled(self, factor: float) -> Any:
        """The same loss with its strength multiplied by ``factor``."""
        if self.strength is None or factor == 1:
            return self
        value = getattr(self, self.strength)
        return replace(self, **{self.strength: value * factor})


LOSSES["CrossEntropy"] = CrossEntropy


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy ``(B,)``; in float32 at least, whatever autocast left behind."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return F.cross_entropy(logits, target, reduction="none")


def at_least(name: str, value: float, low: float = 0.0) -> None:
    """Refuse a setting that is below ``low`` or no number."""
    if not value >= low:
        raise ValueError(f"{name}={value} must be {low:g} or more.")
