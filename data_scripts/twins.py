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
    cross,
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
    """The predictions of the arms' networks on the twins of their own cohort."""
    return _ask(arms, "twins", jobs)


def cross_twins(arms: Arms, jobs: int = 0) -> dict[Any, list[pd.DataFrame]]:
    """What they say of the tumor of a twin in the brain of its twin elsewhere."""
    return _ask(arms, "crossed", jobs)


def twins_of(data: PhantomData | str) -> SliceSet:
    """The slices of the twins of a cohort: new people, its own scanners."""
    if not isinstance(data, PhantomData):
        raise ValueError(f"{data!r} is no phantom: only of those there are twins.")
    return phantom_slices(replace(data, twins=PEOPLE), runs_folder())


def _ask(arms: Arms, question: str, jobs: int) -> dict[Any, list[pd.DataFrame]]:
    """The answers of finished runs, each kept as ``twins.csv`` and so on."""

    def kept(run: Experiment) -> Path:
        return runs_folder() / run.name / f"{question}.csv"

    every = {run.name: run for runs in arms.values() for run in runs}
    waiting = [run for run in every.values() if not kept(run).is_file()]
    for run in waiting:
        twins_of(run.data)  # made here, on all cores, while nobody waits for them
    jobs = min(jobs or usable_cores(), max(1, len(waiting)))
    calls = (delayed(_answer)(run, NETWORKS[run.model], kept(run)) for run in waiting)
    for _ in in_processes(calls, jobs, len(every), f"runs on {question}"):
        pass
    return {arm: [pd.read_csv(kept(run)) for run in runs] for arm, runs in arms.items()}


def _answer(run: Experiment, network: type[nn.Module], path: Path) -> None:
    NETWORKS[run.model] = network  # another process may not know it
    home = runs_folder() / run.name
    if not (home / "result.json").is_file():
        raise FileNotFoundError(f"{home} holds no finished run: run its arm first.")
    trained = read_model(home).network
    slices = seen(run, runs_folder(), twins_of(run.data))
    if path.stem == "twins":
        table = Trainer(trained, settings=run.settings).predict(slices)
    else:
        table = cross(trained, slices)
    with whole_or_absent(path) as beside:
        table.to_csv(beside, index=False)
