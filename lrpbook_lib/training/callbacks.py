"""What may happen at the end of an epoch.

A callback reads the trainer and keeps nothing that it could not find again: a training
that was killed and resumed is the same training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from lrpbook_lib.files import whole_or_absent

from .checkpoint import read_tensors, write_tensors

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


class AverageWeights(Callback):
    """Average the weights over the epochs that end a training.

    Stochastic weight averaging, Izmailov et al. 2018 (``izmailov2018``): with a
    constant learning rate the weights wander about an optimum, and their mean lies
    nearer to it than the last of them. Statistics of batch norm are averaged like
    weights. The mean so far is in ``average.safetensors`` in the folder.

    Parameters
    ----------
    after : int
        Epochs before the first one that counts.
    """

    def __init__(self, after: int) -> None:
        self.after = after

    def epoch_end(self, trainer: Trainer) -> None:
        """Add the weights of the last epoch, once."""
        count = len(trainer.rows) - self.after
        if count < 1:
            return
        path = trainer.need_folder("AverageWeights") / "average.safetensors"
        mean: dict[str, torch.Tensor] = {}
        known = 0
        if count > 1:
            mean, about = read_tensors(path)
            known = about["count"]
        if known >= count:  # killed after this was written, and resumed before
            return
        state = {f"model.{k}": t for k, t in trainer.model.state_dict().items()}
        for name, tensor in state.items():
            if count > 1 and tensor.is_floating_point():
                before = mean[name].to(tensor)
                state[name] = before + (tensor - before) / count
        about = trainer.state.about() if trainer.state else {}
        write_tensors(path, state, count=count, **about)


class Milestones(Callback):
    """Predictions of the test sets after chosen epochs, for intervals on the way.

    Each is a file, ``predictions_0010.csv`` after the tenth epoch, with a column
    ``part`` that tells the test set.

    Parameters
    ----------
    tests : mapping of str to Dataset
    epochs : sequence of int
        Counted from one.
    """

    def __init__(self, tests: Mapping[str, Any], epochs: Sequence[int]) -> None:
        self.tests, self.epochs = tests, set(epochs)

    def epoch_end(self, trainer: Trainer) -> None:
        """Predict, if this is one of the epochs."""
        if (epoch := len(trainer.rows)) in self.epochs:
            folder = trainer.need_folder("Milestones")
            table = predict_parts(trainer, self.tests)
            with whole_or_absent(folder / f"predictions_{epoch:04d}.csv") as beside:
                table.to_csv(beside, index=False)


def predict_parts(trainer: Trainer, tests: Mapping[str, Any]) -> pd.DataFrame:
    """Predictions of several test sets, told apart by the column ``part``."""
    tables = [trainer.predict(data).assign(part=name) for name, data in tests.items()]
    return pd.concat(tables)


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
