"""Guidance at a fraction of the price: a share of each batch guided, against all of it.

Guidance begins early here: where it begins late, there is less of it to save on.
"""

from lrpbook_lib.guidance import CrossEntropy, LRPLoss, Schedule

from ..runs import run_arms, stamp
from .common import BASE, histories, intervals, over_seeds, rows

EARLY = BASE.but(loss=LRPLoss(1), epochs=15, schedule=Schedule(delay=1, warmup=1))
SHARES = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
ARMS = {
    "plain": over_seeds(EARLY.but(loss=CrossEntropy())),
    **{f"share {q}": over_seeds(EARLY.but(guided=s)) for q, s in SHARES.items()},
}

COLUMNS = ["train_ce", "train_score", "applied_share", "seconds", "cpu_seconds"]


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    found = histories(ARMS)
    history = found.groupby(["arm", "epoch"], sort=False)[COLUMNS].mean()
    # Of the epochs with guidance; a median, for other work slows some of them.
    guided = found[found["epoch"] >= EARLY.settings.strength.delay]
    cost = guided.groupby("arm", sort=False)[["cpu_seconds"]].median()
    cost["price"] = cost["cpu_seconds"] / cost.loc["plain", "cpu_seconds"]
    some = {arm: runs for arm, runs in predictions.items() if arm != "plain"}
    values = {
        "intervals": intervals(predictions),
        "against_all": intervals(some, against="share 1"),
        "price": rows(cost.reset_index()),
        "history": rows(history.reset_index()),
    }
    stamp("shares", values, ARMS)
