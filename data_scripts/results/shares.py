"""Guidance at a fraction of the price: a share of each batch guided, against all of it.

Guidance begins after three epochs of fifteen, in time to change what is learned.
"""

from typing import Any

import torch

from lrpbook_lib.guidance import LRPLoss, Schedule
from lrpbook_lib.models import GliomaCNN
from lrpbook_lib.training import Trainer
from lrpbook_lib.training.running import split

from ..runs import run_arms, stamp
from .common import BASE, cohort_slices, collapsed, intervals, over_seeds

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
    some = {arm: runs for arm, runs in predictions.items() if arm != "plain"}
    values = {
        "intervals": intervals(predictions),
        "against_all": intervals(some, against="share 1"),
        "collapsed": collapsed(predictions),
        "price": prices(),
    }
    stamp("shares", values, ARMS)


def prices(rounds: int = 5) -> list[dict[str, Any]]:
    """CPU-seconds of an epoch of each arm, and how many plain ones they are.

    The runs were made beside other work, and not at one time. Here the arms take turns,
    guided from the first step; of each counts the fastest epoch.
    """
    slices = cohort_slices()
    train = slices.subset(split(LONG, slices)["train"])
    spent: dict[str, list[float]] = {arm: [] for arm in ARMS}
    torch.set_num_threads(1)
    for _ in range(rounds):
        for arm, (run, *_) in ARMS.items():
            once = run.but(epochs=1, schedule=Schedule())
            trainer = Trainer(GliomaCNN(size=64), once.loss, once.settings)
            spent[arm] += trainer.fit(train)["cpu_seconds"].tolist()
    fastest = {arm: min(seconds) for arm, seconds in spent.items()}
    return [
        {
            "arm": arm,
            "cpu_seconds": round(s, 2),
            "price": round(s / fastest["plain"], 2),
        }
        for arm, s in fastest.items()
    ]
