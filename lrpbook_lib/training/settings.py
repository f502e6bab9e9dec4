"""What a training is, and what it runs on: two frozen dataclasses."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import nn

from lrpbook_lib.data import Augment
from lrpbook_lib.data.augment import Transform
from lrpbook_lib.guidance import CrossEntropy, Schedule
from lrpbook_lib.lrp.start import Start

from .groups import GroupBalanced


@dataclass(frozen=True)
class TrainSettings:
    """Everything that changes the numbers of a training, beside model, loss and data.

    Attributes
    ----------
    epochs, batch_size
        Of the whole training; the batch is divided among processes.
    accumulate
        In how many pieces a batch passes the network, to be held in less memory. Their
        gradients add up to that of the whole batch, a last, smaller one included; a
        network that looks at the batch (batch norm) or draws (dropout) does it piece by
        piece.
    optimizer : {"adam", "sgd"}
    lr, momentum, weight_decay
        ``momentum`` is for SGD alone.
    clip
        Largest norm of the gradient; None leaves it as it is.
    limit
        Largest ratio of the gradient through relevance to the rest of it, see
        :func:`~lrpbook_lib.training.gradients.descend`; None leaves it as it is, and
        saves a backward pass. At one half, at least half of the descent along cross
        entropy is left, whatever guidance wants.
    schedule
        How guidance rises and falls, in epochs. By default it begins after three, and
        rises over three more, however long the training is. ``Schedule()`` is full
        strength from the first step.
    guided
        Share of each batch that guidance looks at, a row at least, weighed so that on
        average it pulls as much: see :func:`~lrpbook_lib.training.share.tell`. What
        guidance costs falls with it.
    composite
        The LRP rules that training explains with, or another explainer by name: see
        :func:`~lrpbook_lib.attribution.explainer`.
    judge
        Likewise, for the scores in history and predictions; default ``composite``.
    start
        Where relevance starts, in training and in scores.
    explain : {"label", "predicted"}
        Whose relevance is trained: the true class (the paper), or the predicted one
        (the paper's code as published). Scores are always of the true class.
    augment
        What happens to images and masks on the way in, an
        :class:`~lrpbook_lib.data.Augment` or another transform, e.g.
        :class:`~lrpbook_lib.data.SwapBackground`; None for nothing.
    groups
        Whether groups of samples weigh as they are many (None), the same
        (:class:`~lrpbook_lib.training.GroupBalanced`), or the more, the worse they are
        classified (:class:`~lrpbook_lib.training.GroupDRO`).
    seed
        Order of batches, dropout and augmentation follow from it. The weights do not:
        the model comes with its own.
    """

    epochs: int = 10
    batch_size: int = 16
    optimizer: Literal["adam", "sgd"] = "adam"
    lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float | None = 1.0
    limit: float | None = 0.5
    schedule: Schedule = field(default_factory=lambda: Schedule(delay=3, warmup=3))
    guided: float = 1.0
    composite: str = "epsilon-plus"
    judge: str | None = None
    start: Start = "logit"
    explain: Literal["label", "predicted"] = "label"
    augment: Augment | Transform | None = None
    seed: int = 0
    groups: GroupBalanced | None = None
    accumulate: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lr", "accumulate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above zero.")
        for name in ("clip", "limit"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value} must be above zero, or None.")
        if not 0 < self.guided <= 1:
            raise ValueError(f"guided={self.guided} must be above zero, 1 at most.")
        if self.accumulate > 1 and (self.guided < 1 or self.groups is not None):
            raise ValueError(
                "guided and groups look at a whole batch: they go with accumulate=1."
            )
        choices = {"optimizer": ("adam", "sgd"), "explain": ("label", "predicted")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it takes one of {allowed}."
                )

    def warn_of_no_guidance(self, loss: CrossEntropy) -> None:
        """Warn where a loss would guide, and the training ends before it begins."""
        if loss.attribution != "none" and not self.schedule(self.epochs) > 0:
            warnings.warn(
                f"Guidance begins after {self.schedule.delay:g} epochs, and there are "
                f"{self.epochs}: this trains as if there were none. Train longer, or "
                "begin sooner, e.g. with schedule=Schedule(warmup=1).",
                stacklevel=3,
            )

    def make_optimizer(
        self, parameters: Iterable[nn.Parameter]
    ) -> torch.optim.Optimizer:
        """The optimizer these settings name."""
        trained = [p for p in parameters if p.requires_grad]
        if self.optimizer == "adam":
            return torch.optim.Adam(trained, self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            trained, self.lr, self.momentum, weight_decay=self.weight_decay
        )


@dataclass(frozen=True)
class Hardware:
    """Where a training runs, in the words of lightning-fabric.

    Gradients are averaged over processes once a step, in one piece.

    Under torchrun, processes find each other through its environment: set ``devices``
    to the number of processes a machine, and ``nodes`` to the number of machines.

    Attributes
    ----------
    accelerator, devices, nodes, strategy
        As of ``lightning_fabric.Fabric``; "ddp" for several processes.
    precision
        "32-true", or "bf16-mixed" for mixed precision (relevance stays in float32).
    compile
        Whether torch.compile makes one fused program of model and relevance.
    workers
        Processes that load data; 0 loads between the steps.
    channels_last
        Whether a CPU gets images with their channels innermost in memory, in which
        convolutions take less time. It changes no number but by rounding.
    """

    accelerator: str = "auto"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    compile: bool = False
    workers: int = 0
    channels_last: bool = True

    def __post_init__(self) -> None:
        if self.precision not in ("32-true", "bf16-mixed"):
            raise ValueError(
                f"precision is {self.precision!r}; it takes '32-true' or 'bf16-mixed'."
            )

    @property
    def device(self) -> torch.device:
        """The first device, for what is trained beside."""
        return Fabric(accelerator=self.accelerator, devices=1).device
