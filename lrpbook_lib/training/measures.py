"""What is measured while training: the columns ``train_*`` of a history, and why."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrpbook_lib.attribution import chance_level
from lrpbook_lib.guidance import CrossEntropy
from lrpbook_lib.guidance.loss import Told


class Tally:
    """Sums over the batches of an epoch, kept on the device until the end.

    ``train_loss`` is what was minimized, samples not weighed, ``train_ce`` the cross
    entropy in it and ``train_guidance`` the rest. ``train_score`` and ``train_chance``
    are means over the samples with a mask, of the map that the loss saw and in the form
    of its score (no map, no number). ``weight`` is the mean effective weight of
    relevance beside cross entropy, k CE / s for the paper's loss; ``gradient_norm`` the
    mean norm, unclipped.
    ``gradient_share`` and ``applied_share`` tell how much of the gradient comes from
    relevance, before and after it was limited: see
    :func:`~lrpbook_lib.training.gradients.descend`.
    """

    names = ("loss", "ce", "right", "samples", "score", "chance", "weight", "masked")

    def __init__(self) -> None:
        self.sums = self.norms = torch.zeros((), dtype=torch.double)
        self.shares: list[Tensor] = []
        self.steps = 0

    @torch.no_grad()
    def add(
        self,
        loss: CrossEntropy,
        told: Told,
        right: Tensor,
        mask: Any = None,
        brain: Any = None,
    ) -> None:
        """Count samples, from what their loss has computed."""
        ce = told.ce
        columns = [told.loss, ce, right, torch.ones_like(ce)]
        if told.score is not None and told.guided is not None:
            columns += [
                torch.where(told.guided, column, 0.0)
                for column in (
                    told.score,
                    chance_level(mask, brain),
                    loss.weight(ce, told.score.to(ce.dtype)),
                    torch.ones_like(ce),
                )
            ]
        sums = torch.stack([column.sum().double() for column in columns])
        self.sums = self.sums.to(sums.device) + sums.detach()

    def step(self, norm: Tensor, shares: tuple[Tensor, Tensor] | None) -> None:
        """Count a step, from what its gradient was."""
        self.norms = self.norms.to(norm.device) + norm.detach()
        self.steps += 1
        if shares is not None:
            self.shares.append(torch.stack(shares))

    def row(self, fabric: Any) -> dict[str, float]:
        """Means over all processes."""
        if not self.steps:
            raise ValueError("There was no batch to train on: see batch_size.")
        whole = fabric.all_reduce(self.sums, reduce_op="sum").tolist()
        got = dict(zip(self.names, whole, strict=False))
        mean = {k: got[k] / got["samples"] for k in ("loss", "ce", "right")}
        nan, masked = float("nan"), got.get("masked") or float("nan")
        shares = (
            torch.stack(self.shares).mean(0).tolist() if self.shares else (0.0,) * 2
        )
        return {
            "train_loss": mean["loss"],
            "train_ce": mean["ce"],
            "train_guidance": mean["loss"] - mean["ce"],
            "train_accuracy": mean["right"],
            "train_score": got.get("score", nan) / masked,
            "train_chance": got.get("chance", nan) / masked,
            "weight": got["weight"] / masked if "weight" in got else 0.0,
            "gradient_norm": float(self.norms) / self.steps,
            "gradient_share": shares[0],
            "applied_share": shares[1],
        }
