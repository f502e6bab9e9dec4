"""Experiment 1 of the paper: plain training against LRPLoss with powers 1, 2 and 3."""

from lrpbook_lib.guidance import CrossEntropy, LRPLoss

from .common import BASE, histories, intervals, over_seeds, rows, run_arms, stamp

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
    stamp("table1", values, ARMS)
