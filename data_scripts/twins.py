"""What trained networks make of counterfactual twins: asked once, kept with the run.

For a result's script: ``"twins": twin_intervals(ARMS, jobs)`` beside its intervals.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import delayed
from torch import nn

from lrpbook_lib.data import SliceSet
from lrpbook_lib.files import in_processes, usable_cores, whole_or_absent
from lrpbook_lib.models import NETWORKS
from lrpbook_lib.training import (
    Experiment,
    PhantomData,
    Trainer,
    compare_twins,
    read_model,
)
from lrpbook_lib.training.running import phantom_slices, seen

from .results.common import rows
from .runs import Arms, runs_folder

#: How many people are drawn with either grade at each site.
PEOPLE = 30


def twin_intervals(
    arms: Arms, jobs: int = 0, against: str | None = "plain"
) -> list[dict[str, Any]]:
    """What the networks of every arm follow, as rows for a file."""
    return rows(compare_twins(predict_twins(arms, jobs), against))


def predict_twins(arms: Arms, jobs: int = 0) -> dict[Any, list[pd.DataFrame]]:
    """The predictions of the arms' networks on the twins of their own cohort.

    The runs must be finished. Each keeps its predictions in ``twins.csv``.
    """
    every = {run.name: run for runs in arms.values() for run in runs}
    waiting = [run for run in every.values() if not _kept(run).is_file()]
    for run in waiting:
        twins_of(run.data)  # made here, on all cores, while nobody waits for them
    jobs = min(jobs or usable_cores(), max(1, len(waiting)))
    calls = (delayed(_predict)(run, NETWORKS[run.model]) for run in waiting)
    for _ in in_processes(calls, jobs, len(every), "runs on twins"):
        pass
    return {
        arm: [pd.read_csv(_kept(run)) for run in runs] for arm, runs in arms.items()
    }


def twins_of(data: PhantomData | str) -> SliceSet:
    """The slices of the twins of a cohort: new people, its own scanners."""
    if not isinstance(data, PhantomData):
        raise ValueError(f"{data!r} is no phantom: only of those there are twins.")
    return phantom_slices(replace(data, twins=PEOPLE), runs_folder())


def _kept(run: Experiment) -> Path:
    return runs_folder() / run.name / "twins.csv"


def _predict(run: Experiment, network: type[nn.Module]) -> None:
    NETWORKS[run.model] = network  # another process may not know it
    home = runs_folder() / run.name
    if not (home / "result.json").is_file():
        raise FileNotFoundError(f"{home} holds no finished run: run its arm first.")
    trainer = Trainer(read_model(home).network, settings=run.settings)
    slices = seen(run, runs_folder(), twins_of(run.data))
    with whole_or_absent(_kept(run)) as beside:
        trainer.predict(slices).to_csv(beside, index=False)
