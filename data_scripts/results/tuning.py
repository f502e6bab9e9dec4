"""Settings of each arm, chosen on patients of the training sites: no test is looked at.

Every arm is given the same search over learning rates and augmentation, two seeds each,
trained to the end. The least Brier score on an inner fold of the training patients
wins.
"""

from itertools import product
from typing import Any

import pandas as pd

from lrpbook_lib.data import Augment
from lrpbook_lib.training import Experiment, summarize

from ..runs import run_arms, runs_folder, stamp
from .common import over_seeds
from .protocol import BASE, GUIDED

SEEDS = 2
RATES = (3e-4, 1e-3, 3e-3)
MILESTONES = (10, 20, 30, 40)
AUGMENTS = {"as they are": None, "augmented": Augment()}

SEARCHED = {
    "plain": BASE,
    "guided": GUIDED,
}


def candidates(arm: Experiment) -> dict[tuple[float, str], list[Experiment]]:
    """The search of one arm, by learning rate and name of the augmentation."""
    inner = arm.but(inner=True, extra_mixed=0, milestones=MILESTONES)
    return {
        (rate, name): over_seeds(inner.but(lr=rate, augment=augment), SEEDS)
        for rate, (name, augment) in product(RATES, AUGMENTS.items())
    }


ARMS = {
    (arm, *choice): runs
    for arm, start in SEARCHED.items()
    for choice, runs in candidates(start).items()
}


def main(jobs: int) -> None:
    """Search, choose, stamp."""
    run_arms(ARMS, jobs)
    table = pd.DataFrame([found(*key, runs) for key, runs in ARMS.items()])
    best = table.loc[table.groupby("arm", sort=False)["brier"].idxmin()]
    values = {
        "searched": table.to_dict("records"),
        "chosen": best.set_index("arm")[["lr", "augment"]].to_dict("index"),
    }
    stamp("tuning", values, ARMS)


def found(arm: str, lr: float, augment: str, runs: list[Experiment]) -> dict[str, Any]:
    """What a choice came to on the inner folds, on the way and in the end."""
    folders = [runs_folder() / run.name for run in runs]
    row: dict[str, Any] = {"arm": arm, "lr": lr, "augment": augment}
    for name in ("predictions", *(f"predictions_{e:04d}" for e in MILESTONES)):
        seen = pd.DataFrame(
            [summarize(pd.read_csv(folder / f"{name}.csv")) for folder in folders]
        ).mean()
        after = "" if name == "predictions" else f"_{int(name[-4:])}"
        row |= {
            f"{m}{after}": round(float(seen[m]), 4) for m in ("brier", "auc", "score")
        }
    return row
