"""What trained networks say of counterfactual twins: asked once, kept with the run.

How it is kept changes no number, and no stamp depends on this file.
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
from lrpbook_lib.training import Experiment, PhantomData, Trainer, read_model
from lrpbook_lib.training.running import phantom_slices, seen

from .runs import Arms, runs_folder


def predict_twins(
    arms: Arms, people: int, jobs: int = 0
) -> dict[Any, list[pd.DataFrame]]:
    """Predictions of finished runs on the twins of their own cohort.

    Each run keeps them in ``twins.csv``.

    Parameters
    ----------
    arms
    people
        How many are drawn with either grade at each site.
    jobs
        Processes; 0 for one a core.
    """
    every = {run.name: run for runs in arms.values() for run in runs}
    waiting = [run for run in every.values() if not _kept(run).is_file()]
    for run in waiting:
        _twins(run, people)  # made here, on all cores, while nobody waits for them
    jobs = min(jobs or usable_cores(), max(1, len(waiting)))
    calls = (delayed(_predict)(run, people, NETWORKS[run.model]) for run in waiting)
    for _ in in_processes(calls, jobs, len(every), "runs on twins"):
        pass
    return {
        arm: [pd.read_csv(_kept(run)) for run in runs] for arm, runs in arms.items()
    }


def _kept(run: Experiment) -> Path:
    return runs_folder() / run.name / "twins.csv"


def _twins(run: Experiment, people: int) -> SliceSet:
    if not isinstance(run.data, PhantomData):
        raise ValueError(f"{run.data!r} is no phantom, and there are no twins in it.")
    return phantom_slices(replace(run.data, twins=people), runs_folder())


def _predict(run: Experiment, people: int, network: type[nn.Module]) -> None:
    NETWORKS[run.model] = network  # another process may not know it
    home = runs_folder() / run.name
    if not (home / "result.json").is_file():
        raise FileNotFoundError(f"{home} holds no finished run: run its arm first.")
    trainer = Trainer(read_model(home).network, settings=run.settings)
    slices = seen(run, runs_folder(), _twins(run, people))
    with whole_or_absent(_kept(run)) as beside:
        trainer.predict(slices).to_csv(beside, index=False)
