"""The trainer: what a step costs in it, and what loading takes of it."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from lrpbook_lib.data import Augment, SliceSet
from lrpbook_lib.guidance import CrossEntropy, LRPLoss, Schedule
from lrpbook_lib.models import GliomaCNN
from lrpbook_lib.training import Trainer, TrainSettings
from lrpbook_lib.training.batches import TrainLoader

#: What, against what, and how large the ratio may be.
ROWS = [
    ("Trainer, CE", "bare loop, CE", 1.1),
    ("Trainer, CE/score, paper's rule", "Trainer, CE", 2.5),
    ("Trainer, CE/score, epsilon-plus", "Trainer, CE", 2.5),
    ("Trainer, CE/score, as by default", "Trainer, CE", 4.0),
    ("loading and augmentation", "Trainer, CE", 0.1),
]

_BARE = {"limit": None, "clip": None}
#: The loss, and changes to the settings of an unlimited step.
_RUNS = {
    "Trainer, CE": (CrossEntropy(), _BARE),
    "Trainer, CE/score, paper's rule": (
        LRPLoss(),
        {**_BARE, "composite": "sefcik-epsilon"},
    ),
    "Trainer, CE/score, epsilon-plus": (LRPLoss(), _BARE),
    "Trainer, CE/score, as by default": (LRPLoss(), {}),
}


def table(
    size: int = 128, batch: int = 16, steps: int = 8, rounds: int = 5
) -> list[dict[str, object]]:
    """Milliseconds a step, the least of the rounds, in which all take turns."""
    data = _slices(size, batch * steps)
    tasks = {
        name: partial(_train, data, size, batch, *run) for name, run in _RUNS.items()
    }
    tasks["bare loop, CE"] = partial(_bare, data, size, batch)
    tasks["loading and augmentation"] = partial(_load, data, batch)
    seconds = [{name: task() for name, task in tasks.items()} for _ in range(rounds)]
    each = {name: 1000 * min(s[name] for s in seconds) / steps for name in tasks}
    return [
        {
            "what": what,
            "against": against,
            "ms": round(each[what], 1),
            "against, ms": round(each[against], 1),
            "ratio": round(each[what] / each[against], 3),
            "reach": reach,
            "met": "yes" if each[what] <= reach * each[against] else "no",
        }
        for what, against, reach in ROWS
    ]


def _train(data: SliceSet, size: int, batch: int, loss: Any, changes: Any) -> float:
    """An epoch of the trainer, after one to warm up."""
    settings = TrainSettings(epochs=2, batch_size=batch, schedule=Schedule(), **changes)
    return Trainer(GliomaCNN(size=size), loss, settings).fit(data)["seconds"].min()


def _load(data: SliceSet, batch: int) -> float:
    loader = TrainLoader(data, batch, 0, 0, 1, Augment(), 0, False)
    began = time.perf_counter()
    for _ in loader.epoch(0):
        pass
    return time.perf_counter() - began


def _bare(data: SliceSet, size: int, batch: int) -> float:
    """A tutorial's loop over tensors in memory, in their best layout; no history."""
    model = GliomaCNN(size=size).train()
    optimizer = torch.optim.Adam(model.parameters())
    x, label = torch.as_tensor(data.images), torch.as_tensor(data.labels)
    x, seconds = x.contiguous(memory_format=torch.channels_last), []
    for _ in range(2):
        began = time.perf_counter()
        for rows in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), label[rows]).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _slices(size: int, count: int) -> SliceSet:
    rng = np.random.default_rng(0)
    tumor = np.zeros((count, size, size), dtype=bool)
    tumor[:, size // 3 : size // 2, size // 3 : size // 2] = True
    return SliceSet.from_arrays(
        rng.random((count, 3, size, size), dtype=np.float32),
        np.arange(count) % 2,
        tumor,
        np.ones_like(tumor),
        [f"p{i}" for i in range(count)],
        ["s"] * count,
    )
