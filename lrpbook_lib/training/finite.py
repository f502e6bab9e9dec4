"""Stopping at the first number that is none, with what led to it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoint import write_tensors


class NonFiniteError(ArithmeticError):
    """The loss or its gradient is NaN or infinite; ``batch`` is where it happened."""

    def __init__(self, message: str, batch: Path) -> None:
        super().__init__(message)
        self.batch = batch


class DeadNetworkWarning(UserWarning):
    """No input has any part in what the network says."""


class Watch:
    """Looks at loss and gradient of every step, and stops at a NaN or an infinity.

    It warns where maps were zero in all of an epoch.

    To look is to wait for a GPU. ``late``, each step is looked at while the next one is
    under way; the weights from before it are kept until then.

    Parameters
    ----------
    model : nn.Module
    folder : Path, optional
        Where to save batch and weights; default a temporary folder.
    rank : int
        Of this process.
    late : bool
    """

    def __init__(
        self, model: nn.Module, folder: Path | None, rank: int, late: bool
    ) -> None:
        self.model, self.folder, self.rank, self.late = model, folder, rank, late
        self.before: list[Tensor] = []
        self.waiting: tuple[Any, ...] | None = None
        self.alive: Tensor | None = None

    def step(
        self, total: Tensor, norm: Tensor, batch: Mapping[str, Any], **when: int
    ) -> None:
        """Look at loss and norm of a gradient, before the optimizer takes it."""
        self.look()
        numbers, done = torch.stack([total.detach(), norm.detach()]), None
        if self.late:
            self.before = [p.detach().clone() for p in self.model.parameters()]
            numbers = numbers.to("cpu", non_blocking=True)
        if total.is_cuda:
            done = torch.cuda.Event()
            done.record()
        self.waiting = numbers, done, batch, when
        if not self.late:
            self.look()

    def map(self, relevance: Tensor | None) -> None:
        """Look at what a loss has seen of relevance, if anything."""
        if relevance is not None:
            some = relevance.detach().any()
            self.alive = some if self.alive is None else self.alive | some

    def end(self) -> None:
        """Look at what is left, and at the maps of the whole epoch."""
        self.look()
        if self.alive is not None and not bool(self.alive):
            warnings.warn(
                "The network is dead: in a whole epoch no voxel of any sample got "
                "relevance, so that neither classes nor guidance can be learned any "
                "more (ReLUs that no input opens). Lower the learning rate, begin "
                "guidance later (schedule), keep limit=0.5, or start from other "
                "weights.",
                DeadNetworkWarning,
                stacklevel=2,
            )

    def look(self) -> None:
        """Look at what has not been looked at; raise with batch and weights saved."""
        if self.waiting is None:
            return
        numbers, done, batch, when = self.waiting
        self.waiting = None
        if done is not None:
            done.synchronize()
        total, norm = numbers.tolist()
        if bool(numbers.isfinite().all()):
            return
        for parameter, value in zip(self.model.parameters(), self.before, strict=False):
            parameter.data.copy_(value)
        home = self.folder or Path(tempfile.mkdtemp(prefix="lrpbook-"))
        path = home / f"not_finite_rank{self.rank}.safetensors"
        tensors = {name: v for name, v in batch.items() if isinstance(v, Tensor)}
        tensors |= {f"model.{name}": v for name, v in self.model.state_dict().items()}
        write_tensors(path, tensors, **when, rank=self.rank)
        what = f"gradient is {norm}" if numbers[0].isfinite() else f"loss is {total}"
        raise NonFiniteError(
            f"The {what} in epoch {when['epoch']}, step {when['step']}. The batch and "
            f"the weights are in {path}. Look for NaN in its images; otherwise lower "
            "the learning rate, raise the floor of the score, or warm up longer.",
            path,
        )
