"""Where guidance helps: plain against guided over two knobs of the phantom.

``difficulty`` is how much the grades look alike, ``confounding`` how far the site
tells the grade of the training patients.
"""

from itertools import product

from lrpbook_lib.guidance import CrossEntropy, LRPLoss
from lrpbook_lib.training import PhantomData

from ..runs import run_arms, stamp
from .common import BASE, THREE, intervals, over_seeds

SEEDS = 2
DIFFICULTY = (0.1, 0.5, 0.9)
CONFOUNDING = (0.0, 1.0)
COHORT = PhantomData(patients=160, seed=2, spacing=3.0, size=64, recipe=THREE)

LOSSES = {"plain": CrossEntropy(), "power 1": LRPLoss(1)}
ARMS = {
    (difficulty, confounding, name): over_seeds(
        BASE.but(data=COHORT, loss=loss).but(
            difficulty=difficulty, confounding=confounding
        ),
        SEEDS,
    )
    for difficulty, confounding in product(DIFFICULTY, CONFOUNDING)
    for name, loss in LOSSES.items()
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions, found = run_arms(ARMS, jobs), []
    for difficulty, confounding in product(DIFFICULTY, CONFOUNDING):
        arms = {name: predictions[difficulty, confounding, name] for name in LOSSES}
        knobs = {"difficulty": difficulty, "confounding": confounding}
        found += [row | knobs for row in intervals(arms)]
    stamp("where", {"intervals": found}, ARMS)
