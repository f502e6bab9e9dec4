"""What guidance needs: masks, rules, and the safeguards of the loss."""

import pandas as pd

from lrpbook_lib.data import SliceSet
from lrpbook_lib.guidance import LRPLoss, Schedule
from lrpbook_lib.training import Experiment, Trainer

from ..runs import run_arms, stamp
from .common import (
    BASE,
    cohort_slices,
    intervals,
    over_seeds,
    tested,
    trained_network,
)
from .table1 import ARMS as TABLE1

SEEDS = 2
START = BASE.but(loss=LRPLoss(1))
RULES = ("epsilon-plus", "epsilon", "epsilon-alpha2-beta1")

CHANGES = {
    **{f"masks of {share:.0%}": {"share": share} for share in (0.01, 0.05, 0.1, 0.5)},
    "masks dilated": {"kind": "dilated", "amount": 4},
    "masks boxed": {"kind": "boxed", "amount": 2},
    "masks shifted": {"kind": "shifted", "amount": 8},
    "masks at random": {"kind": "random"},
    "score by area": {"loss": LRPLoss(1, area_normalized=True)},
    **{f"floor {f:g}": {"loss": LRPLoss(1, floor=f)} for f in (0, 0.3)},
    "no delay": {"schedule": Schedule()},
    "no limit": {"limit": None},
    **{f"rule {rule}": {"composite": rule} for rule in RULES[1:]},
}
ARMS = {
    "plain": TABLE1["plain"][:SEEDS],
    "guided": TABLE1["power 1"][:SEEDS],
    **{arm: over_seeds(START.but(**new), SEEDS) for arm, new in CHANGES.items()},
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    values = {
        "intervals": intervals(run_arms(ARMS, jobs)),
        "rules": judged(),
    }
    stamp("ablations", values, ARMS)


def judged() -> list[dict[str, object]]:
    """Scores of models trained with one rule, judged by each of the others."""
    slices = cohort_slices()
    trained = {"plain": "plain", "epsilon-plus": "guided"}
    trained |= {rule: f"rule {rule}" for rule in RULES[1:]}
    found = []
    for name, arm in trained.items():
        for judge in RULES:
            tables = [_predict(run, slices, judge) for run in ARMS[arm]]
            rows = intervals({name: tables}, against=None, parts=["patients"])
            found += [
                {**row, "judge": judge} for row in rows if row["metric"] == "score"
            ]
    return found


def _predict(run: Experiment, slices: SliceSet, judge: str) -> pd.DataFrame:
    trainer = Trainer(trained_network(run), settings=run.but(judge=judge).settings)
    return trainer.predict(tested(run, slices)).assign(part="patients")
