"""Stopping at the first number that is none, with what led to it."""

from __future__ import annotations

import tempfile
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


def stop_unless_finite(
    value: Tensor,
    what: str,
    batch: Mapping[str, Any],
    model: nn.Module,
    folder: Path | None,
    when: Mapping[str, int],
) -> None:
    """Raise where a value is NaN or infinite, batch and weights saved.

    Parameters
    ----------
    value : Tensor
        A number.
    what : str
        Its name, for the message.
    batch : mapping
        As loaded.
    model : nn.Module
    folder : Path, optional
        Where to save; default a temporary folder.
    when : mapping of str to int
        Epoch, step and rank.
    """
    if bool(torch.isfinite(value)):
        return
    home = folder or Path(tempfile.mkdtemp(prefix="lrpbook-"))
    path = home / f"not_finite_rank{when['rank']}.safetensors"
    tensors = {name: v for name, v in batch.items() if isinstance(v, Tensor)}
    tensors |= {f"model.{name}": v for name, v in model.state_dict().items()}
    write_tensors(path, tensors, **when)
    raise NonFiniteError(
        f"The {what} is {float(value)} in epoch {when['epoch']}, step {when['step']}. "
        f"The batch and the weights are in {path}. Look for NaN in its images; "
        "otherwise lower the learning rate, raise the floor of the score, or warm up "
        "longer.",
        path,
    )
