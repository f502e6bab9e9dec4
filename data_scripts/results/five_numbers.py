"""Real sites without a network: what five intensities of a slice tell of the grade.

One slice of each patient of BraTS 2020, and a logistic regression on five numbers that
know of no place and no tumor. It learns on sites that sent one grade, and is tested on
random patients of theirs and on the sites that sent both; and it learns on random
patients of all sites, so that the same patients are tested once by who knows their
sites and once by who does not. Patients whose site is not told are left out.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import skew
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import SliceSet, brats_t1ce_slices
from lrpbook_lib.training import Experiment, auc, bootstrap_interval
from lrpbook_lib.training.running import split

from ..runs import stamp
from .common import intervals

FILE = "brats2020_t1ce/t1ce_slices.npz"
TABLE = "tables/BraTS2020_name_mapping.csv"
#: The sites that sent both grades.
MIXED = ("2013", "TMC")
#: No network is trained: the splits are those that one would be trained on.
ARMS: dict[str, list[Experiment]] = {}
FOLDS = [Experiment(data="told", held_out=MIXED, fold=f) for f in range(5)]


def main(jobs: int) -> None:
    """Fit, compare, stamp."""
    home = real_data(FILE, TABLE)
    slices = told(home)
    numbers = five_numbers(slices)
    apart = [foretold(e, slices, numbers) for e in FOLDS]
    every = [foretold(e.but(held_out=()), slices, numbers) for e in FOLDS]
    values = {
        "intervals": intervals({"five numbers": apart}, None),
        "fall": fall(apart),
        "everywhere": intervals({"five numbers": every}, None, ["patients"]),
        "same_patients": same_patients(apart, [every]),
    }
    data = {FILE: home / FILE, TABLE: home / TABLE}
    stamp("five_numbers", values, ARMS, data=data)


def told(home: Path, size: int | None = None) -> SliceSet:
    """The slices of patients whose site is told."""
    slices = brats_t1ce_slices(home / FILE, size, home / TABLE)
    return slices.subset(slices.site != "")


def five_numbers(slices: SliceSet) -> np.ndarray:
    """Of each brain its mean, spread, skewness, 5th and 95th percentile: ``(N, 5)``."""
    brains = [
        image[0][brain]
        for image, brain in zip(slices.images, slices.brain, strict=True)
    ]
    return np.array(
        [[v.mean(), v.std(), skew(v), *np.percentile(v, (5, 95))] for v in brains]
    )


def foretold(run: Experiment, slices: SliceSet, numbers: np.ndarray) -> pd.DataFrame:
    """Predictions of a logistic regression on numbers ``(N, F)``, as of a network."""
    parts = split(run, slices)
    train = parts.pop("train")
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(numbers[train], slices.labels[train])
    tables = []
    for part, rows in parts.items():
        p = model.predict_proba(numbers[rows])
        columns = {"label": slices.labels[rows], "predicted": p.argmax(1), "part": part}
        columns |= {"p_0": p[:, 0], "p_1": p[:, 1], "score": 0.0, "chance": 0.0}
        columns |= {"patient": slices.patient[rows], "site": slices.site[rows]}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


def same_patients(
    held_out: Sequence[pd.DataFrame], known: Sequence[Sequence[pd.DataFrame]]
) -> list[dict[str, Any]]:
    """The patients of held-out sites, and how others do who know these sites.

    Parameters
    ----------
    held_out
        Predictions of runs that have not seen these sites.
    known
        Of runs on random patients of all sites, fold by fold, seed by seed.
    """
    arms = {
        "held out": [only_mixed(run) for run in held_out[: len(known)]],
        "known": [only_mixed(pd.concat(folds)) for folds in known],
    }
    return intervals(arms, "held out", ["mixed"])


def only_mixed(predictions: pd.DataFrame) -> pd.DataFrame:
    """The patients of the sites that sent both grades, whatever part they were in."""
    return predictions[predictions["site"].isin(MIXED)].assign(part="mixed")


def fall(runs: Sequence[pd.DataFrame], draws: int = 1000) -> list[float]:
    """AUC on random patients of the training sites minus that on held-out sites.

    The mean over runs, and its interval over patients.
    """
    table = pd.concat(run.assign(run=i) for i, run in enumerate(runs))

    def gap(drawn: pd.DataFrame) -> float:
        found = {
            key: auc(each["label"] == 1, each["p_1"])
            for key, each in drawn.groupby(["part", "run"])
        }
        means = pd.Series(found).groupby(level=0).mean()
        return float(means.get("patients", np.nan) - means.get("site", np.nan))

    interval = bootstrap_interval(table, gap, draws=draws)
    return [round(x, 4) for x in (interval.estimate, interval.low, interval.high)]
