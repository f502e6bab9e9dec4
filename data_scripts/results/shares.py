"""Guidance at a fraction of the price: a share of each batch guided, against all of it.

Guidance begins after three epochs of fifteen, in time to change what is learned.
"""

from lrpbook_lib.guidance import LRPLoss, Schedule

from ..runs import run_arms, stamp
from .common import BASE, collapsed, histories, intervals, over_seeds, rows

LONG = BASE.but(epochs=15)
GUIDED = LONG.but(loss=LRPLoss(1), schedule=Schedule(delay=3, warmup=3))
SHARES = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125}
ARMS = {
    "plain": over_seeds(LONG),
    **{f"share {q}": over_seeds(GUIDED.but(guided=s)) for q, s in SHARES.items()},
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    found = histories(ARMS)
    # Of the epochs with guidance; a median, for other work slows some of them.
    guided = found[found["epoch"] >= GUIDED.settings.strength.delay]
    cost = guided.groupby("arm", sort=False)[["cpu_seconds"]].median()
    cost["price"] = cost["cpu_seconds"] / cost.loc["plain", "cpu_seconds"]
    some = {arm: runs for arm, runs in predictions.items() if arm != "plain"}
    values = {
        "intervals": intervals(predictions),
        "against_all": intervals(some, against="share 1"),
        "collapsed": collapsed(predictions),
        "price": rows(cost.reset_index()),
    }
    stamp("shares", values, ARMS)
