"""What is measured while training: the columns ``train_*`` of a history, and why."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrpbook_lib.attribution import (
    chance_level,
    tumor_lrp_score,
)
from lrpbook_lib.guidance import (
    CrossEntropy,
)
from lrpbook_lib.guidance.loss import cross_entropy


class Tally:
    """Sums over the batches of an epoch, kept on the device until the end.

    ``train_loss`` is what was minimized, ``train_ce`` the cross entropy in it and
    ``train_guidance`` the rest. ``train_score`` and ``train_chance`` are means over the
    samples with a mask, of the map that the loss saw (none, no number). ``weight`` is
    the mean effective weight of relevance beside cross entropy, k CE / s for the
    paper's loss; ``gradient_norm`` the mean norm, unclipped. ``gradient_share`` and
    ``applied_share`` tell how much of the gradient comes from relevance, before and
    after it was limited: see :func:`~lrpbook_lib.training.gradients.backward`.
    """

    names = ("loss", "ce", "right", "samples", "score", "chance", "weight", "masked")

    def __init__(self) -> None:
        self.sums: Tensor | None = None
        self.norm, self.steps = torch.zeros(()), 0
        self.shares: list[tuple[Tensor, Tensor]] = []
        self.scored = False

    @torch.no_grad()
    def add(
        self,
        loss: CrossEntropy,
        logits: Tensor,
        label: Tensor,
        relevance: Tensor | None,
        mask: Tensor,
        brain: Tensor,
        losses: Tensor,
        norm: Tensor,
        shares: tuple[Tensor, Tensor] | None,
    ) -> None:
        """Count a batch."""
        ce = cross_entropy(logits, label)
        masked = (mask.flatten(1) > 0).any(1).to(ce.dtype)
        score = weight = torch.zeros_like(ce)
        if relevance is not None:
            self.scored = True
            score = tumor_lrp_score(relevance, mask, brain).to(ce.dtype)
            weight = loss.weight(ce, score)
        columns = [
            losses.detach(),
            ce,
            (logits.argmax(1) == label).to(ce.dtype),
            torch.ones_like(ce),
            score * masked,
            chance_level(mask, brain).to(ce.dtype) * masked,
            weight * masked,
            masked,
        ]
        sums = torch.stack([column.sum() for column in columns]).double()
        self.sums = sums if self.sums is None else self.sums + sums
        self.norm, self.steps = self.norm.to(norm) + norm.detach(), self.steps + 1
        if shares is not None:
            self.shares.append(shares)

    def row(self, fabric: Any) -> dict[str, float]:
        """Means over all processes."""
        if self.sums is None:
            raise ValueError("There was no batch to train on: see batch_size.")
        whole = fabric.all_reduce(self.sums, reduce_op="sum")
        got = dict(zip(self.names, whole.tolist(), strict=True))
        mean = {k: v / got["samples"] for k, v in got.items()}
        nan = float("nan")
        shares = [0.0, 0.0]
        if self.shares:
            columns = zip(*self.shares, strict=True)
            shares = [float(torch.stack(each).mean()) for each in columns]
        masked = got["masked"] or nan
        return {
            "train_loss": mean["loss"],
            "train_ce": mean["ce"],
            "train_guidance": mean["loss"] - mean["ce"],
            "train_accuracy": mean["right"],
            "train_score": got["score"] / masked if self.scored else nan,
            "train_chance": got["chance"] / masked,
            "weight": got["weight"] / masked if self.scored else 0.0,
            "gradient_norm": float(self.norm) / self.steps,
            **dict(zip(("gradient_share", "applied_share"), shares, strict=True)),
        }
