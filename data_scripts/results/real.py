"""Arms on real data: settings chosen inside the training, then five seeds to the end.

Arms that are searched are trained two seeds each on four fifths of their training
patients, with every augmentation; the least Brier score on the other fifth wins. An arm
that is not searched takes what won for *plain*. No test is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd

from lrpbook_lib.data.backgrounds import Sometimes
from lrpbook_lib.training import Experiment, summarize

from ..runs import Arms, runs_folder
from .common import over_seeds, rows
from .tuning import AUGMENTS, SEEDS

Changes = Mapping[str, Experiment]


def candidates(changes: Changes, searched: Iterable[str]) -> dict[Any, Any]:
    """The search: runs by arm and name of an augmentation."""
    return {
        (arm, name): over_seeds(tuned(changes[arm], name).but(inner=True), SEEDS)
        for arm, name in product(searched, AUGMENTS)
    }


def tuned(start: Experiment, name: str) -> Experiment:
    """An arm with an augmentation, which goes before its own."""
    own, wanted = start.settings.augment, AUGMENTS[name]
    augment = replace(own, after=wanted) if isinstance(own, Sometimes) else wanted
    return start.but(augment=augment)


def choose(tried: Arms) -> dict[str, Any]:
    """What the finished search came to, on the way and in the end, and what won."""
    table = pd.DataFrame(
        [
            {"arm": arm, "augment": name, "epochs": epochs, **score}
            for (arm, name), runs in tried.items()
            for epochs, score in judged(runs).items()
        ]
    )
    end = table[table["epochs"] == table.groupby("arm")["epochs"].transform("max")]
    best = end.loc[end.groupby("arm", sort=False)["brier"].idxmin()]
    return {
        "searched": rows(table),
        "chosen": best.set_index("arm")["augment"].to_dict(),
    }


def judged(runs: Iterable[Experiment]) -> dict[int, dict[str, float]]:
    """By epoch, the mean over runs of what the patients of the inner fold say."""
    found: dict[int, list[dict[str, float]]] = {}
    for run in runs:
        home = runs_folder() / run.name
        tables = {e: f"predictions_{e:04d}.csv" for e in run.milestones}
        for epochs, file in {**tables, run.settings.epochs: "predictions.csv"}.items():
            once = summarize(pd.read_csv(home / file))
            found.setdefault(epochs, []).append(once)
    wanted = ["brier", "auc", "accuracy"]
    return {e: pd.DataFrame(each)[wanted].mean().to_dict() for e, each in found.items()}


def settled(changes: Changes, values: Mapping[str, Any]) -> dict[str, list[Experiment]]:
    """The arms with the settings that were chosen, five seeds each."""
    won = values["chosen"]
    return {
        arm: over_seeds(tuned(start, won.get(arm, won["plain"])))
        for arm, start in changes.items()
    }
