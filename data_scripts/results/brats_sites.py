"""Real sites: does a network that was trained where site is grade fall elsewhere?

One slice of each patient of BraTS 2020, without masks. Trained on sites that sent one
grade, tested on random patients of theirs and on the sites that sent both; beside it,
trained on random patients of all sites, so that the same patients are tested once by
who knows their sites and once by who does not. Patients whose site is not told are left
out.

Settings are chosen on random patients of the training, where what tells the site
helps: patients of other sites that could choose better belong to the test.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import skew
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import RandomizeScanner, SliceSet, brats_t1ce_slices
from lrpbook_lib.training import Experiment, GroupBalanced, auc, bootstrap_interval
from lrpbook_lib.training.running import split

from ..runs import Arms, run_arms, stamp
from .common import SEEDS, intervals, over_seeds
from .protocol import BASE
from .real import candidates, choose, settled
from .tuning import RATES

FILE = "brats2020_t1ce/t1ce_slices.npz"
TABLE = "tables/BraTS2020_name_mapping.csv"
START = BASE.but(
    data="brats2020_t1ce 64, site told", held_out=("2013", "TMC"), milestones=()
)
CHANGES = {
    "plain": START,
    "scanner randomized": START.but(augment=RandomizeScanner()),
    "grades balanced": START.but(groups=GroupBalanced("label")),
    "sites balanced": START.but(groups=GroupBalanced("site")),
    "randomized, balanced": START.but(
        augment=RandomizeScanner(), groups=GroupBalanced("site")
    ),
}
#: Random patients of all sites, every one of them tested once a seed.
ALL_SITES = START.but(held_out=())
SEARCHED = candidates({**CHANGES, "all sites": ALL_SITES}, RATES)


def arms(values: Mapping[str, Any]) -> Arms:
    """All runs, once it is known which settings were chosen."""
    known = [e for seed in all_sites(values) for e in seed]
    return {**SEARCHED, **settled(CHANGES, values), "all sites": known}


def all_sites(values: Mapping[str, Any]) -> list[list[Experiment]]:
    """The folds of all sites, seed by seed."""
    (first, *_) = settled({"all sites": ALL_SITES}, values)["all sites"]
    folds = range(first.folds)
    return [[first.but(seed=s, fold=f) for f in folds] for s in range(SEEDS)]


def main(jobs: int) -> None:
    """Search, run, compare, stamp."""
    home = real_data(FILE, TABLE)
    slices = told(home, 64)
    given = {START.data: slices}
    run_arms(SEARCHED, jobs, given)
    values = choose(SEARCHED)
    numbers = five_numbers(told(home, None))
    runs = run_arms(settled(CHANGES, values), jobs, given)
    runs["five numbers"] = [foretold(e, slices, numbers) for e in over_seeds(START)]
    tested = run_arms(dict(enumerate(all_sites(values))), jobs, given)
    once = [ALL_SITES.but(fold=f) for f in range(ALL_SITES.folds)]
    everywhere = {
        "plain": list(tested.values()),
        "five numbers": [[foretold(e, slices, numbers) for e in once]],
    }
    flat = {who: [*chain(*seeds)] for who, seeds in everywhere.items()}
    values |= {
        "sites": pd.crosstab(slices.site, slices.labels).T.to_dict("list"),
        "intervals": intervals(runs),
        "falls": {arm: fall(each) for arm, each in runs.items()},
        "everywhere": intervals(flat, None, ["patients"]),
        "same_patients": [
            row | {"by": who}
            for who, seeds in everywhere.items()
            for row in same_patients(runs[who], seeds)
        ],
    }
    data = {FILE: home / FILE, TABLE: home / TABLE}
    stamp("brats_sites", values, arms(values), data=data)


def told(home: Path, size: int | None) -> SliceSet:
    """The patients whose site is told."""
    slices = brats_t1ce_slices(home / FILE, size, home / TABLE)
    return slices.subset(slices.site != "")


def five_numbers(slices: SliceSet) -> np.ndarray:
    """Of each brain its mean, spread, skewness, 5th and 95th percentile: ``(N, 5)``.

    Nothing of where anything is, nor of a tumor.
    """
    brains = [
        image[0][brain]
        for image, brain in zip(slices.images, slices.brain, strict=True)
    ]
    return np.array(
        [[v.mean(), v.std(), skew(v), *np.percentile(v, (5, 95))] for v in brains]
    )


def foretold(run: Experiment, slices: SliceSet, numbers: np.ndarray) -> pd.DataFrame:
    """What a logistic regression on five numbers predicts in place of a network."""
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
    mixed = predictions["site"].isin(START.held_out or ())
    return predictions[mixed].assign(part="mixed")


def fall(runs: Sequence[pd.DataFrame]) -> list[float]:
    """AUC on random patients of the training sites minus that on held-out sites.

    The mean over runs, and its interval over patients.
    """
    table = pd.concat(run.assign(run=i) for i, run in enumerate(runs))

    def gap(drawn: pd.DataFrame) -> float:
        found = {
            key: auc(each["label"] == 1, each["p_1"])
            for key, each in drawn.groupby(["part", "run"])
        }
        by_part = pd.Series(found).groupby(level=0).mean()
        return float(by_part["patients"] - by_part["site"])

    interval = bootstrap_interval(table, gap, draws=1000)
    return [round(x, 4) for x in (interval.estimate, interval.low, interval.high)]
