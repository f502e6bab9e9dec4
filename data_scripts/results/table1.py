"""Experiment 1 of the paper: plain training against LRPLoss with powers 1, 2 and 3."""

from pathlib import Path

import numpy as np

from lrpbook_lib.explore import before_after
from lrpbook_lib.guidance import CrossEntropy, LRPLoss

from ..runs import run_arms, stamp
from .common import (
    BASE,
    cohort_slices,
    histories,
    intervals,
    over_seeds,
    pictures,
    rows,
    tested,
)

LOSSES = {"plain": CrossEntropy(), **{f"power {k}": LRPLoss(k) for k in (1, 2, 3)}}
ARMS = {arm: over_seeds(BASE.but(loss=loss)) for arm, loss in LOSSES.items()}

#: What a history tells that a table does not: how the loss came to its numbers.
COLUMNS = ["train_ce", "train_score", "weight", "gradient_share", "applied_share"]


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    history = histories(ARMS).groupby(["arm", "epoch"], sort=False)[COLUMNS].mean()
    values = {
        "intervals": intervals(predictions, classes=("LGG", "HGG")),
        "history": rows(history.reset_index()),
    }
    slices = cohort_slices()
    test = tested(ARMS["plain"][0], slices)
    # The middle slices of six patients from all over the fold, whatever they show.
    chosen = [int(i) for i in np.linspace(1, len(test) - 2, 6) // 3 * 3 + 1]
    flair = list(slices.sequences).index("flair")
    kept = pictures(ARMS, slices, chosen, flair)
    stamp("table1", values, ARMS, kept)
    picture(kept)


#: The two networks that chapters and pages use, by the arms that made them.
MODELS = {"plain": "plain", "guided": "power 1"}


def picture(kept: dict[str, np.ndarray]) -> None:
    """The picture of the README: three slices, before guidance and after."""
    some = slice(1, None, 2)
    maps = {name: kept[f"{arm}/relevance"][some] for name, arm in MODELS.items()}
    fig = before_after(kept["images"][some], kept["tumor"][some], maps)
    fig.savefig(Path("book/assets/before_after.png"), dpi=110)
