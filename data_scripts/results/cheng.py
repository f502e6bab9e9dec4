"""Real tumors: plain against guided training on the slices of Cheng (CC BY 4.0)."""

import numpy as np

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import cheng_slices
from lrpbook_lib.guidance import CrossEntropy, LRPLoss, Schedule, SelfNormalizedLoss

from ..runs import run_arms, stamp
from .common import BASE, histories, intervals, over_seeds, pictures, rows, tested

FILE = "cheng/cheng_128.npz"
START = BASE.but(
    data="cheng 64",
    held_out=(),
    epochs=8,
    schedule=Schedule(delay=2.4, warmup=2.4),
    curve="patients",
)
LOSSES = {
    "plain": CrossEntropy(),
    "power 1": LRPLoss(1),
    "self-normalized": SelfNormalizedLoss(1),
}
ARMS = {arm: over_seeds(START.but(loss=loss)) for arm, loss in LOSSES.items()}

COLUMNS = ["patients_accuracy", "patients_score", "patients_chance"]


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    file = real_data(FILE) / FILE
    slices = cheng_slices(file, size=64)
    predictions = run_arms(ARMS, jobs, {"cheng 64": slices})
    history = histories(ARMS)[["arm", "seed", "epoch", *COLUMNS]]
    test = tested(ARMS["plain"][0], slices)
    # Two slices of each type, by their place in the fold, whatever they show.
    chosen = [
        int(i) for c in range(3) for i in np.flatnonzero(test.labels == c)[5:26:20]
    ]
    values = {
        "intervals": intervals(predictions, parts=["patients"], classes=slices.classes),
        "history": rows(history),
        "slices": len(slices),
        "blocks": len(np.unique(slices.patient)),
    }
    # The images are real, and stay where they are: a reader's own copy has them.
    kept = pictures(ARMS, slices, chosen)
    maps = {name: heat for name, heat in kept.items() if name.endswith("/relevance")}
    stamp(
        "cheng",
        values,
        ARMS,
        {"index": np.asarray(test.z)[chosen], **maps},
        {FILE: file},
    )
