"""What the experiments of the book share: the cohort, the budget, and the analysis."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from lrpbook_lib.data import SliceRecipe, SliceSet
from lrpbook_lib.training import (
    Experiment,
    PhantomData,
    Trainer,
    TrainSettings,
    compare,
    read_model,
)
from lrpbook_lib.training.running import phantom_slices, split

from ..runs import Arms, runs_folder

SEEDS = 5

#: Three slices a patient, 6 mm apart: more patients for the same computing.
THREE = SliceRecipe(hgg_slices=3, lgg_slices=3, hgg_gap=6.0, lgg_gap=6.0)

#: Other patients than those of the chapters, who have seed 0.
COHORT = PhantomData(patients=240, seed=1, size=64, recipe=THREE)

#: Every arm has this budget; what an arm changes is written where the arm is.
BASE = Experiment(data=COHORT, settings=TrainSettings(epochs=10), curve="none")


def over_seeds(experiment: Experiment, seeds: int = SEEDS) -> list[Experiment]:
    """One experiment with several seeds, each tested on a fold of its own."""
    return [experiment.but(seed=s, fold=s % experiment.folds) for s in range(seeds)]


def cohort_slices() -> SliceSet:
    """The slices of the cohort."""
    return phantom_slices(COHORT, runs_folder())


def tested(run: Experiment, slices: SliceSet) -> SliceSet:
    """The slices of held-out patients that a run is tested on."""
    return slices.subset(split(run, slices)["patients"])


def histories(arms: Arms) -> pd.DataFrame:
    """The histories of all runs, with columns ``arm`` and ``seed``."""
    return pd.concat(
        pd.read_csv(runs_folder() / e.name / "history.csv").assign(
            arm=arm, seed=e.settings.seed
        )
        for arm, runs in arms.items()
        for e in runs
    )


def collapsed(predictions: Mapping[str, Sequence[pd.DataFrame]]) -> dict[str, int]:
    """Of each arm, the runs that name one class only on the held-out patients."""
    return {
        arm: sum(
            len(set(run.loc[run["part"] == "patients", "predicted"])) == 1
            for run in runs
        )
        for arm, runs in predictions.items()
    }


def intervals(
    predictions: Mapping[str, Sequence[pd.DataFrame]],
    against: str | None = "plain",
    parts: Iterable[str] = ("patients", "site"),
    classes: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Every metric of every arm under both protocols, as rows for a file."""
    tables = []
    for part in parts:
        arms = {
            arm: [run[run["part"] == part] for run in runs]
            for arm, runs in predictions.items()
        }
        tables.append(compare(arms, against, classes).assign(protocol=part))
    return rows(pd.concat(tables))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as JSON can say it: four digits, None for what there is not."""
    return json.loads(table.to_json(orient="records", double_precision=4))


def pictures(
    arms: Arms, slices: SliceSet, chosen: Sequence[int], channel: int = 0
) -> dict[str, np.ndarray]:
    """Test slices of the first fold, and the heatmap of each arm's first model.

    Images and outlines in bytes; relevance ``(n, H, W)``, channels summed, from -127 to
    127.
    """
    test = tested(next(iter(arms.values()))[0], slices)
    found = {
        "images": np.rint(255 * np.asarray(test.images)[chosen, channel]).astype("u1"),
        "tumor": np.asarray(test.tumor)[chosen].astype("u1"),
        "labels": np.asarray(test.labels)[chosen].astype("u1"),
    }
    x = torch.stack([test[i]["image"] for i in chosen])
    y = torch.as_tensor(np.asarray(test.labels)[chosen])
    for arm, (first, *_) in arms.items():
        trainer = Trainer(trained_network(first), settings=first.settings)
        found[f"{arm}/relevance"] = in_bytes(trainer.explain(x, y)[1].sum(1).numpy())
    return found


def trained_network(run: Experiment) -> torch.nn.Module:
    """The network of a finished run."""
    return read_model(runs_folder() / run.name).network


def in_bytes(heat: np.ndarray) -> np.ndarray:
    """Heatmaps ``(..., H, W)`` as signed bytes, each on its own scale."""
    peak = np.abs(heat).max((-2, -1), keepdims=True).clip(1e-12)
    return np.rint(127 * heat / peak).astype(np.int8)
