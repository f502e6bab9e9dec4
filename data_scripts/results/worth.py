"""What guidance is worth: plain training, the paper's powers and an oracle, to the end.

Three cohorts, five seeds each, every seed with a test fold of its own; 150 patients a
cohort come from sites that no network was trained on, and are never looked at before.
Plain networks get twice the epochs of guided ones, which is the same computing; at the
milestones all are compared after as many epochs. *Late* begins as the book once did,
when three tenths of the training are over. The *oracle* is plain training on the tumor
alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrpbook_lib.explore import before_after
from lrpbook_lib.guidance import LRPLoss, Schedule
from lrpbook_lib.training import (
    compare_twin_tables,
    summarize,
    twin_measures,
    twin_table,
)
from lrpbook_lib.training.running import phantom_slices

from ..runs import run_arms, runs_folder, stamp
from ..twins import predict_twins
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

LATE = Schedule(delay=0.3 * EPOCHS, warmup=0.3 * EPOCHS)
CHANGES = {
    "plain": PLAIN,
    "power 1": GUIDED,
    "power 1, late": GUIDED.but(schedule=LATE),
    "oracle": BASE.but(view="tumor"),
}
#: Every arm in every cohort, by both.
EVERY = {
    (arm, data.seed): over_seeds(start.but(data=data))
    for data in COHORTS
    for arm, start in CHANGES.items()
}
#: The other powers of the paper, in the first cohort.
POWERS = {(f"power {k}", 1): over_seeds(GUIDED.but(loss=LRPLoss(k))) for k in (2, 3)}
ARMS = {**EVERY, **POWERS}

#: What a history tells that a table does not: how the loss came to its numbers.
COLUMNS = ["train_ce", "train_score", "weight", "gradient_share", "applied_share"]


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    first = {arm: runs for (arm, seed), runs in ARMS.items() if seed == 1}
    history = histories(first).groupby(["arm", "epoch"], sort=False)[COLUMNS].mean()
    twins = {
        key: [twin_table(run) for run in runs]
        for key, runs in predict_twins(EVERY, jobs).items()
    }
    values = {
        "intervals": compared(predictions),
        "on_the_way": [
            row | {"epochs": epochs}
            for epochs in MILESTONES
            for row in intervals(pooled(after(EVERY, epochs)))
        ],
        "collapsed": collapsed(pooled(predictions)),
        "twins": rows(compare_twin_tables(pooled(twins, "person"), "plain")),
        "networks": [one for key in EVERY for one in networks(key, predictions, twins)],
        "history": rows(history.reset_index()),
    }
    slices = phantom_slices(COHORTS[0], runs_folder())
    test = tested(first["plain"][0], slices)
    # The middle slices of six patients from all over the fold, whatever they show.
    chosen = [int(i) for i in np.linspace(1, len(test) - 2, 6) // 3 * 3 + 1]
    flair = list(slices.sequences).index("flair")
    kept = pictures(first, slices, chosen, flair)
    stamp("worth", values, ARMS, kept)
    picture(kept)


def compared(
    predictions: Mapping[tuple[str, int], list[pd.DataFrame]],
) -> list[dict[str, Any]]:
    """Each cohort by itself, and all of them: the column ``cohort`` tells which."""
    found = []
    for cohort in [data.seed for data in COHORTS]:
        arms = {
            arm: runs for (arm, seed), runs in predictions.items() if seed == cohort
        }
        table = intervals(arms, classes=("LGG", "HGG"))
        found += [row | {"cohort": str(cohort)} for row in table]
    every = pooled({key: predictions[key] for key in EVERY})
    table = intervals(every, classes=("LGG", "HGG"))
    return found + [row | {"cohort": "all"} for row in table]


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
