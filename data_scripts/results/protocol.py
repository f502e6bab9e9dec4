"""The protocol of the experiments that are trained to the end.

Settings of each arm are chosen on patients of the training sites (``tuning``). Networks
are tested on a fold of these sites, and on 150 patients of sites that nobody was
trained on; weights are averaged over the last ten epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lrpbook_lib.data import Augment
from lrpbook_lib.guidance import LRPLoss
from lrpbook_lib.training import Experiment, PhantomData, TrainSettings

from ..runs import Arms, runs_folder
from .common import THREE

#: Each with 150 more patients at sites that treat both grades, whom no network is
#: trained on. The chapters' patients have seed 0.
COHORTS = tuple(
    PhantomData(patients=240, seed=s, size=64, recipe=THREE, extra_mixed=150)
    for s in (1, 2, 3)
)

#: Guided; a guided epoch costs about two plain ones, and plain arms get twice as many.
EPOCHS = 40
MILESTONES = (10, 20, 40)

BASE = Experiment(
    data=COHORTS[0],
    settings=TrainSettings(epochs=EPOCHS, augment=Augment()),
    curve="none",
    milestones=MILESTONES,
    average=10,
)
GUIDED = BASE.but(loss=LRPLoss(1), guided=0.5)
#: At its 40th epoch it has had as many as guided arms, at its 80th as much computing.
PLAIN = BASE.but(epochs=2 * EPOCHS)


def after(arms: Arms, epochs: int) -> dict[Any, list[pd.DataFrame]]:
    """The predictions of every arm at a milestone of its training."""
    name = f"predictions_{epochs:04d}.csv"
    return {
        arm: [pd.read_csv(runs_folder() / run.name / name) for run in runs]
        for arm, runs in arms.items()
    }


def pooled(
    tables: Mapping[tuple[str, int], Sequence[pd.DataFrame]], by: str = "patient"
) -> dict[str, list[pd.DataFrame]]:
    """Arms of several cohorts, by arm and cohort, as arms of more runs.

    Whoever the column ``by`` names in two cohorts is two people.
    """
    arms: dict[str, list[pd.DataFrame]] = {}
    for (arm, cohort), runs in tables.items():
        arms.setdefault(arm, []).extend(
            run.assign(**{by: f"{cohort}/" + run[by].astype(str)}) for run in runs
        )
    return arms
