"""When guidance must begin: one training, guided early, late, at first, now and then.

All runs are trained to the end. Two networks, and two losses for one of them.
"""

from lrpbook_lib.guidance import Schedule, SelfNormalizedLoss
from lrpbook_lib.training import Experiment

from ..runs import run_arms, stamp
from ..twins import twin_intervals
from .common import EPOCHS, GUIDED, PLAIN, intervals, over_seeds

WARMUP = 3
#: Epochs before guidance begins; 3 is the default.
DELAYS = (0, 1, 3, 9, 18, 30)
FEW = (0, 3, 18)

#: Guidance for ten epochs only, and guidance that comes and goes.
OTHERS = {
    "first 10 only": Schedule(warmup=WARMUP, until=10),
    "5 on, 5 off": Schedule(warmup=WARMUP, pulse=5),
}


def delayed(start: Experiment, delays: tuple[int, ...]) -> dict[str, Experiment]:
    """The training with guidance that begins after each of so many epochs."""
    return {
        f"after {delay}": start.but(schedule=Schedule(delay=delay, warmup=WARMUP))
        for delay in delays
    }


#: Network and loss, and the trainings that are compared: the first is plain.
STUDIES = {
    "GliomaCNN, LRPLoss": {
        "plain": PLAIN,
        **delayed(GUIDED, DELAYS),
        **{name: GUIDED.but(schedule=s) for name, s in OTHERS.items()},
    },
    "SliceNet, LRPLoss": {
        "plain": PLAIN.but(model="SliceNet"),
        **delayed(GUIDED.but(model="SliceNet"), FEW),
    },
    "GliomaCNN, SelfNormalizedLoss": {
        "plain": PLAIN,
        **delayed(GUIDED.but(loss=SelfNormalizedLoss(1)), FEW),
    },
}
ARMS = {
    (study, arm): over_seeds(start)
    for study, arms in STUDIES.items()
    for arm, start in arms.items()
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    found, twins = [], []
    for study in STUDIES:
        mine = {arm: runs for (s, arm), runs in ARMS.items() if s == study}
        said = {arm: runs for (s, arm), runs in predictions.items() if s == study}
        found += [row | {"study": study} for row in intervals(said)]
        twins += [row | {"study": study} for row in twin_intervals(mine)]
    values = {
        "epochs": EPOCHS,
        "delays": DELAYS,
        "intervals": found,
        "twins": twins,
    }
    stamp("schedules", values, ARMS)
