"""What training does, in a few numbers: whether old results still hold.

Experiments of hours cannot be repeated after every edit, and a hash of the code would
call them stale for a reworded comment. A stamp therefore keeps what a tiny training
with every loss came to. As long as the code comes to the same, the results hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lrpbook_lib.data import SliceSet
from lrpbook_lib.data.phantom.knobs import RECIPE
from lrpbook_lib.data.slices.extract import VERSION
from lrpbook_lib.guidance import LOSSES, CrossEntropy, LRPLoss, Schedule
from lrpbook_lib.models import GliomaCNN, SliceNet

from .settings import TrainSettings
from .trainer import Trainer

#: Floats of another processor differ in their last digits; ten steps widen that.
TOLERANCE = 1e-3


def behavior() -> dict[str, float]:
    """Loss and tumor score after a few steps with each loss, rule and network.

    Seconds; no data needed. Versions of phantom and slices are told along.
    """
    found: dict[str, float] = {"phantom": RECIPE, "slices": VERSION}
    runs: dict[str, tuple[Any, int, CrossEntropy, str]] = {
        name: (GliomaCNN, 16, kind(), "epsilon-plus") for name, kind in LOSSES.items()
    }
    for rule in ("epsilon", "epsilon-alpha2-beta1"):
        runs[f"LRPLoss, {rule}"] = (GliomaCNN, 16, LRPLoss(1), rule)
    runs["SliceNet"] = (SliceNet, 54, LRPLoss(2), "epsilon-plus")
    for name, (network, size, loss, rule) in runs.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = network(size=size)
        settings = TrainSettings(
            epochs=1, batch_size=8, lr=1e-4, composite=rule, schedule=Schedule()
        )
        trainer = Trainer(model, loss, settings)
        noise = _noise(size)
        trainer.fit(noise)
        after = trainer.evaluate(noise)
        found |= {f"{name}: {key}": after[key] for key in ("loss", "score")}
    return found


def changes(known: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """Where two behaviors differ, a line each; numbers known of only one count too."""
    missing = float("nan")
    pairs = [
        (key, known.get(key, missing), now.get(key, missing))
        for key in {**known, **now}
    ]
    return [
        f"{key}: {then:.6g}, now {here:.6g}"
        for key, then, here in pairs
        if not abs(then - here) <= TOLERANCE * max(abs(then), abs(here), 1e-3)
    ]


def _noise(size: int, samples: int = 24) -> SliceSet:
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 2
    tumor = np.zeros((samples, size, size), dtype=bool)
    for i, (y, x) in enumerate(rng.integers(2, size - 6, (samples, 2))):
        tumor[i, y : y + 4, x : x + 4] = True
    images = rng.uniform(0.2, 0.6, (samples, 3, size, size))
    images += 0.3 * tumor[:, None] * labels[:, None, None, None]
    return SliceSet.from_arrays(
        images,
        labels,
        tumor,
        np.ones_like(tumor),
        [f"p{i}" for i in range(samples)],
        ["s"] * samples,
        classes=("LGG", "HGG"),
    )
