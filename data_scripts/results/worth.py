"""What guidance is worth: plain, guided, swapped backgrounds, an oracle, to the end.

Three cohorts, five seeds each, every seed with a test fold of its own; 150 patients a
cohort come from sites that no network was trained on, and are never looked at before:
which arms to run was tried on a fourth cohort, which is in no table.
Plain networks get twice the epochs of guided ones, which is the same computing; at the
milestones all are compared after as many epochs. *Late* begins as the book once did,
when three tenths of the training are over. *Swapped* sets half of the tumors of a batch
into the brains of other patients, which takes masks as guidance does, and no relevance.
The *oracle* is plain training on the tumor alone, *crop* on what a segmentation network
leaves of a slice.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrpbook_lib.data import Augment, SwapBackground
from lrpbook_lib.explore import before_after
from lrpbook_lib.guidance import Schedule
from lrpbook_lib.training import (
    compare_crossed,
    compare_twin_tables,
    summarize,
    twin_measures,
    twin_table,
)
from lrpbook_lib.training.running import phantom_slices

from ..runs import run_arms, runs_folder, stamp
from ..twins import cross_twins, predict_twins
from .common import (
    collapsed,
    histories,
    intervals,
    over_seeds,
    pictures,
    rows,
    tested,
)
from .protocol import (
    BASE,
    COHORTS,
    EPOCHS,
    GUIDED,
    MILESTONES,
    PLAIN,
    after,
    pooled,
)

SWAPPED = SwapBackground(after=Augment())
LATE = Schedule(delay=0.3 * EPOCHS, warmup=0.3 * EPOCHS)
CHANGES = {
    "plain": PLAIN,
    "power 1": GUIDED,
    "swapped": BASE.but(augment=SWAPPED),
    "oracle": BASE.but(view="tumor"),
}
#: Every arm in every cohort, by both.
EVERY = {
    (arm, data.seed): over_seeds(start.but(data=data))
    for data in COHORTS
    for arm, start in CHANGES.items()
}
#: In the first cohort: both together, a late start, and what a practitioner does.
FIRST = {
    ("power 1, swapped", 1): over_seeds(GUIDED.but(augment=SWAPPED)),
    ("power 1, late", 1): over_seeds(GUIDED.but(schedule=LATE)),
    ("crop", 1): over_seeds(BASE.but(view="crop")),
}
ARMS = {**EVERY, **FIRST}

#: What a history tells that a table does not: how the loss came to its numbers.
COLUMNS = ["train_ce", "train_score", "weight", "gradient_share", "applied_share"]


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    first = {arm: runs for (arm, seed), runs in ARMS.items() if seed == 1}
    history = histories(first).groupby(["arm", "epoch"], sort=False)[COLUMNS].mean()
    twins = {
        key: [twin_table(run) for run in runs]
        for key, runs in predict_twins(ARMS, jobs).items()
    }
    values = {
        "intervals": by_cohort(
            predictions, "patient", partial(intervals, classes=("LGG", "HGG"))
        ),
        "against_guided": by_cohort(
            predictions, "patient", partial(intervals, against="power 1")
        ),
        "on_the_way": [
            row | {"epochs": epochs}
            for epochs in MILESTONES
            for row in intervals(pooled(after(EVERY, epochs)))
        ],
        "collapsed": collapsed(pooled(predictions)),
        "twins": by_cohort(
            twins, "person", lambda arms: rows(compare_twin_tables(arms, "plain"))
        ),
        "crossed": by_cohort(
            cross_twins(ARMS, jobs),
            "person",
            lambda arms: rows(compare_crossed(arms, "plain")),
        ),
        "networks": [one for key in ARMS for one in networks(key, predictions, twins)],
        "history": rows(history.reset_index()),
    }
    slices = phantom_slices(COHORTS[0], runs_folder())
    test = tested(first["plain"][0], slices)
    # The middle slices of six patients from all over the fold, whatever they show.
    chosen = [int(i) for i in np.linspace(1, len(test) - 2, 6) // 3 * 3 + 1]
    flair = list(slices.sequences).index("flair")
    whole = {arm: runs for arm, runs in first.items() if runs[0].view == "whole"}
    kept = pictures(whole, slices, chosen, flair)
    stamp("worth", values, ARMS, kept)
    picture(kept)


def by_cohort(
    tables: Mapping[tuple[str, int], list[pd.DataFrame]],
    by: str,
    compared: Callable[[Any], list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """Each cohort by itself, and all of them: the column ``cohort`` tells which."""
    found = []
    for cohort in [data.seed for data in COHORTS]:
        arms = {arm: runs for (arm, seed), runs in tables.items() if seed == cohort}
        found += [row | {"cohort": str(cohort)} for row in compared(arms)]
    every = pooled({key: tables[key] for key in EVERY}, by)
    return found + [row | {"cohort": "all"} for row in compared(every)]


def networks(
    key: tuple[str, int],
    predictions: Mapping[tuple[str, int], list[pd.DataFrame]],
    twins: Mapping[tuple[str, int], list[pd.DataFrame]],
) -> list[dict[str, Any]]:
    """Each network by itself: its AUC at the held-out sites, and what it follows."""
    found = []
    for seed, (said, told) in enumerate(zip(predictions[key], twins[key], strict=True)):
        once = twin_measures(told, np.ones((1, len(told))))
        row = {name: round(float(value[0]), 4) for name, value in once.items()}
        auc = summarize(said[said["part"] == "site"])["auc"]
        who = {"arm": key[0], "cohort": key[1], "seed": seed}
        found.append({**who, **row, "auc_site": round(auc, 4)})
    return found


#: The two networks that chapters and pages use, by the arms that made them.
MODELS = {"plain": "plain", "guided": "power 1"}


def picture(kept: dict[str, np.ndarray]) -> None:
    """The picture of the README: three slices, before guidance and after."""
    some = slice(1, None, 2)
    maps = {name: kept[f"{arm}/relevance"][some] for name, arm in MODELS.items()}
    fig = before_after(kept["images"][some], kept["tumor"][some], maps)
    fig.savefig(Path("book/assets/before_after.png"), dpi=110)
