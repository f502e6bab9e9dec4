"""What every guidance loss is: cross entropy, and something to say about relevance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lrpbook_lib.attribution.attributor import Attribution


@dataclass(frozen=True)
class CrossEntropy:
    r"""Cross entropy alone, :math:`-\log p_c`: what every other loss adds to.

    Every loss is called in the same way and answers per sample, so that the trainer
    reduces. A sample whose mask is empty trains on cross entropy alone: where the
    tumor lies is then unknown, and nothing is said of the relevance.

    Attributes
    ----------
    attribution : {"none", "lrp", "input_gradient", "gradcam"}
        Which map the loss wants as ``relevance``;
        :class:`~lrpbook_lib.guidance.Attributor` makes it.
    start : {"softmax"} or None
        Where LRP starts, for a loss that insists: "softmax" is the probabilities of all
        classes. None leaves it to the settings of the training.
    strength : str
        Name of the setting that says how much relevance counts; a schedule scales it.
    """

    attribution: ClassVar[Attribution] = "none"
    start: ClassVar[Literal["softmax"] | None] = None
    strength: ClassVar[str | None] = None

    def __call__(
        self,
        logits: Tensor,
        target: Tensor,
        relevance: Tensor | None,
        mask: Tensor,
        brain: Tensor,
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
            The tumor (bool, or labels above zero), and where relevance counts.

        Returns
        -------
        Tensor of shape (B,)
        """
        ce = cross_entropy(logits, target)
        if relevance is None:
            if self.attribution != "none":
                raise ValueError(
                    f"{type(self).__name__} wants relevance (attribution "
                    f"{self.attribution!r}) and got None: see Attributor."
                )
            return ce
        guided = (mask.flatten(1) > 0).any(1)
        return torch.where(guided, self.guide(ce, relevance, mask, brain, guided), ce)

    def guide(
        self, ce: Tensor, relevance: Tensor, mask: Tensor, brain: Tensor, guided: Tensor
    ) -> Tensor:
        """The loss ``(B,)`` of samples with a mask, given their cross entropy."""
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


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy ``(B,)``; in float32 at least, whatever autocast left behind."""
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return F.cross_entropy(logits, target, reduction="none")


def at_least(name: str, value: float, low: float = 0.0) -> None:
    """Refuse a setting that is below ``low`` or no number."""
    if not value >= low:
        raise ValueError(f"{name}={value} must be {low:g} or more.")
