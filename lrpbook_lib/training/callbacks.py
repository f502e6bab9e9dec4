"""What may happen at the end of an epoch.

A callback reads the trainer and keeps nothing that it could not find again: a training
that was killed and resumed is the same training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lrpbook_lib.files import whole_or_absent

from .checkpoint import write_tensors

if TYPE_CHECKING:
    from .trainer import Trainer


class Callback:
    """Does nothing; derive from it and override its method."""

    def epoch_end(self, trainer: Trainer) -> None:
        """Called by the first process once the history has its row for the epoch."""


@dataclass
class KeepBest(Callback):
    """Write the weights of the best epoch to ``best.safetensors`` in the folder.

    Attributes
    ----------
    monitor
        Name of a column of the history.
    higher_is_better
    """

    monitor: str = "val_balanced_accuracy"
    higher_is_better: bool = True

    def epoch_end(self, trainer: Trainer) -> None:
        """Write if the last epoch is the best so far."""
        history = trainer.history
        if self.monitor not in history:
            raise KeyError(
                f"The history has no column {self.monitor!r}; it has "
                f"{', '.join(history.columns)}."
            )
        values = history[self.monitor].to_numpy(dtype=float)
        values = values if self.higher_is_better else -values
        if np.isfinite(values[-1]) and (values[:-1] >= values[-1]).sum() == 0:
            weights = {f"model.{k}": v for k, v in trainer.model.state_dict().items()}
            path = trainer.need_folder("KeepBest") / "best.safetensors"
            about = trainer.state.about() if trainer.state else {}
            write_tensors(path, weights, epoch=len(values) - 1, **about)


class HeatmapSnapshots(Callback):
    """Relevance of the same slices after every epoch, to be leafed through.

    Each epoch is a file ``snapshots/epoch_0000.npz`` with ``relevance``
    ``(n, C, *space)`` float16, scaled to a largest magnitude of one a slice, and
    ``probability`` ``(n,)`` of the true class.

    Parameters
    ----------
    data : SliceSet
        Where the slices come from.
    positions : sequence of int
        Which ones.
    every : int
        Epochs between two snapshots.
    """

    def __init__(self, data: Any, positions: Sequence[int], every: int = 1) -> None:
        items = [data[int(i)] for i in positions]
        self.images = torch.stack([item["image"] for item in items])
        self.labels = torch.stack([torch.as_tensor(item["label"]) for item in items])
        self.every = every

    def epoch_end(self, trainer: Trainer) -> None:
        """Explain the slices and write what came out."""
        epoch = len(trainer.rows) - 1
        if epoch % self.every:
            return
        logits, relevance = trainer.explain(self.images, self.labels)
        peak = relevance.flatten(1).abs().amax(1)
        peak = peak.reshape(-1, *[1] * (relevance.ndim - 1))
        scaled = relevance / torch.where(peak > 0, peak, 1.0)
        probability = logits.softmax(1).gather(1, self.labels[:, None])[:, 0]
        folder = trainer.need_folder("HeatmapSnapshots") / "snapshots"
        path = folder / f"epoch_{epoch:04d}.npz"
        with whole_or_absent(path) as beside, beside.open("wb") as stream:
            np.savez_compressed(
                stream,
                relevance=scaled.numpy().astype(np.float16),
                probability=probability.numpy(),
            )


def read_snapshots(folder: str | Path) -> dict[str, np.ndarray]:
    """All snapshots of a training.

    Returns
    -------
    dict of str to ndarray
        ``epoch`` (E,), ``relevance`` ``(E, n, C, *space)``, ``probability`` (E, n).
    """
    files = sorted((Path(folder) / "snapshots").glob("epoch_*.npz"))
    if not files:
        raise FileNotFoundError(
            f"{folder} holds no snapshots: train with the callback HeatmapSnapshots."
        )
    read = [np.load(file) for file in files]
    names = ("relevance", "probability")
    stacked = {name: np.stack([each[name] for each in read]) for name in names}
    return {"epoch": np.array([int(f.stem[6:]) for f in files]), **stacked}
