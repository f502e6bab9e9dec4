"""Where guidance helps: plain against guided over two knobs of the phantom.

``difficulty`` is how much the grades look alike, ``confounding`` how far the site
tells the grade of the training patients.
"""

from lrpbook_lib.guidance import CrossEntropy, LRPLoss
from lrpbook_lib.training import PhantomData

from .common import BASE, THREE, intervals, over_seeds, run_arms, stamp

SEEDS = 2
DIFFICULTY = (0.1, 0.5, 0.9)
CONFOUNDING = (0.0, 1.0)
COHORT = PhantomData(patients=160, seed=2, spacing=3.0, size=64, recipe=THREE)

ARMS = {
    (difficulty, confounding): {
        name: over_seeds(
            BASE.but(data=COHORT, loss=loss).but(
                difficulty=difficulty, confounding=confounding
            ),
            SEEDS,
        )
        for name, loss in {"plain": CrossEntropy(), "power 1": LRPLoss(1)}.items()
    }
    for difficulty in DIFFICULTY
    for confounding in CONFOUNDING
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    found, every = [], {}
    for (difficulty, confounding), arms in ARMS.items():
        knobs = {"difficulty": difficulty, "confounding": confounding}
        found += [row | knobs for row in intervals(run_arms(arms, jobs))]
        every |= {(difficulty, confounding, arm): runs for arm, runs in arms.items()}
    stamp("where", {"intervals": found}, every)
