"""What trained networks make of counterfactual twins: asked once, kept with the run.

For a result's script: ``"twins": twin_intervals(ARMS, jobs)`` beside its intervals.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import delayed

from lrpbook_lib.data import SliceSet
from lrpbook_lib.files import in_processes, usable_cores, whole_or_absent
from lrpbook_lib.training import (
    Experiment,
    PhantomData,
    Trainer,
    compare_twins,
    read_model,
)
from lrpbook_lib.training.running import phantom_slices

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
    runs = {run.name: run for runs in arms.values() for run in runs}
    waiting = [run for name, run in runs.items() if not _kept(name).is_file()]
    for run in waiting:
        twins_of(
            run.data
        )  # made here, on all cores, not by one process while others wait
    calls = (delayed(_predict)(run) for run in waiting)
    for _ in in_processes(calls, jobs or usable_cores(), len(runs), "runs on twins"):
        pass
    return {
        arm: [pd.read_csv(_kept(run.name)) for run in runs]
        for arm, runs in arms.items()
    }


def _kept(name: str) -> Path:
    return runs_folder() / name / "twins.csv"


def twins_of(data: PhantomData | str) -> SliceSet:
    """The slices of the twins of a cohort: new people, its own scanners."""
    if not isinstance(data, PhantomData):
        raise ValueError(f"{data!r} is no phantom: only of those there are twins.")
    return phantom_slices(replace(data, twins=PEOPLE), runs_folder())


def _predict(run: Experiment) -> None:
    home = runs_folder() / run.name
    if not (home / "result.json").is_file():
        raise FileNotFoundError(f"{home} holds no finished run: run its arm first.")
    trainer = Trainer(read_model(home).network, settings=run.settings)
    with whole_or_absent(_kept(run.name)) as beside:
        trainer.predict(twins_of(run.data)).to_csv(beside, index=False)
