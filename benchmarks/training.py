"""The trainer: what a step costs in it, and what loading takes of it."""

from __future__ import annotations

import time

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


def table(
    size: int = 128, batch: int = 16, steps: int = 8, rounds: int = 5
) -> list[dict[str, object]]:
    """Milliseconds a step, median of rounds, each round an epoch of every trainer."""
    data = _slices(size, batch * steps)
    bare = {"limit": None, "clip": None, "schedule": Schedule()}
    runs = {
        "Trainer, CE": (CrossEntropy(), bare),
        "Trainer, CE/score, paper's rule": (
            LRPLoss(),
            {**bare, "composite": "sefcik-epsilon"},
        ),
        "Trainer, CE/score, epsilon-plus": (LRPLoss(), bare),
        "Trainer, CE/score, as by default": (LRPLoss(), {"schedule": Schedule()}),
    }
    settings = {"epochs": rounds + 1, "batch_size": batch, "augment": Augment()}
    seconds = {"bare loop, CE": [], "loading and augmentation": []}
    for name, (loss, changes) in runs.items():
        trainer = Trainer(
            GliomaCNN(size=size), loss, TrainSettings(**settings, **changes)
        )
        # The first epoch warms up.
        seconds[name] = trainer.fit(data)["seconds"].tolist()[1:]
    for _ in range(rounds):
        seconds["loading and augmentation"].append(_load(data, batch))
        seconds["bare loop, CE"].append(_bare(data, size, batch))
    each = {name: 1000 * float(np.median(s)) / steps for name, s in seconds.items()}
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


def _load(data: SliceSet, batch: int) -> float:
    loader = TrainLoader(data, batch, 0, 0, 1, Augment(), 0, False)
    began = time.perf_counter()
    for _ in loader.epoch(0):
        pass
    return time.perf_counter() - began


def _bare(data: SliceSet, size: int, batch: int) -> float:
    """Tensors in memory, no augmentation, no history: a loop as in a tutorial."""
    model = GliomaCNN(size=size).train()
    optimizer = torch.optim.Adam(model.parameters())
    x, label = torch.as_tensor(data.images), torch.as_tensor(data.labels)
    began = time.perf_counter()
    for rows in torch.randperm(len(x)).split(batch):
        optimizer.zero_grad()
        F.cross_entropy(model(x[rows]), label[rows]).backward()
        optimizer.step()
    return time.perf_counter() - began


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
