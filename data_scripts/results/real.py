"""Arms on real data: settings chosen inside the training, then five seeds to the end.

Every arm is given the same search, two seeds each, trained to the end on four fifths of
its training patients; the least Brier score on the other fifth wins. No test is looked
at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd

from lrpbook_lib.data import SliceSet
from lrpbook_lib.data.backgrounds import Sometimes
from lrpbook_lib.training import Experiment

from ..runs import Arms, run_arms
from .common import intervals, over_seeds, rows
from .protocol import MILESTONES, after
from .tuning import AUGMENTS, MILESTONES as ON_THE_WAY, SEEDS, found

Changes = Mapping[str, Experiment]


def candidates(changes: Changes, rates: Sequence[float]) -> dict[Any, list[Experiment]]:
    """The search: by arm, learning rate, and name of an augmentation."""
    return {
        (arm, rate, name): over_seeds(
            tuned(start, rate, name).but(inner=True, milestones=ON_THE_WAY), SEEDS
        )
        for (arm, start), rate, name in product(changes.items(), rates, AUGMENTS)
    }


def tuned(start: Experiment, rate: float, name: str) -> Experiment:
    """An arm with a learning rate and an augmentation, which goes before its own."""
    own, wanted = start.settings.augment, AUGMENTS[name]
    augment = replace(own, after=wanted) if isinstance(own, Sometimes) else wanted
    return start.but(lr=rate, augment=augment)


def choose(searched: Arms) -> dict[str, Any]:
    """What finished runs of the search came to, and the settings that won."""
    table = pd.DataFrame([found(*choice, runs) for choice, runs in searched.items()])
    best = table.loc[table.groupby("arm", sort=False)["brier"].idxmin()]
    return {
        "searched": rows(table),
        "chosen": best.set_index("arm")[["lr", "augment"]].to_dict("index"),
    }


def settled(changes: Changes, values: Mapping[str, Any]) -> dict[str, list[Experiment]]:
    """The arms with the settings that were chosen for them, five seeds each."""
    return {
        arm: over_seeds(tuned(start, won["lr"], won["augment"]))
        for arm, start in changes.items()
        for won in [values["chosen"][arm]]
    }


def every(
    changes: Changes, rates: Sequence[float], values: Mapping[str, Any]
) -> dict[Any, list[Experiment]]:
    """All runs that a result is made of, as soon as it is known what won."""
    return {**candidates(changes, rates), **settled(changes, values)}


def judge(
    changes: Changes, rates: Sequence[float], jobs: int, slices: SliceSet
) -> dict[str, Any]:
    """Search, run and compare arms whose tests are held-out patients."""
    given = {name: slices for start in changes.values() for name in [start.data]}
    tried = candidates(changes, rates)
    run_arms(tried, jobs, given)
    values = choose(tried)
    arms = settled(changes, values)
    ended = run_arms(arms, jobs, given)
    tables = {epochs: after(arms, epochs) for epochs in MILESTONES}
    told: dict[str, Any] = {"parts": ["patients"], "classes": slices.classes}
    return values | {
        "intervals": intervals(ended, **told),
        "on_the_way": [
            row | {"epochs": epochs}
            for epochs, table in tables.items()
            for row in intervals(table, **told)
        ],
        "slices": len(slices),
        "groups": len(set(slices.patient)),
    }
