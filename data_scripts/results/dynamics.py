"""Experiment 2 of the paper: SliceNet over 20 epochs, plain against power 1.

The paper guides from the first step on, and says that this speeds up the beginning. The
other arm lets the network begin alone for six epochs, and rises over as many.
"""

import numpy as np

from lrpbook_lib.guidance import CrossEntropy, LRPLoss, Schedule
from lrpbook_lib.training import read_snapshots

from ..runs import run_arms, runs_folder, stamp
from .common import (
    BASE,
    cohort_slices,
    histories,
    in_bytes,
    intervals,
    over_seeds,
    rows,
    tested,
)

LONG = BASE.but(model="SliceNet", epochs=20, curve="both", snapshots=6)
CHANGES = {
    "plain": {"loss": CrossEntropy()},
    "power 1": {"loss": LRPLoss(1), "schedule": Schedule(delay=6, warmup=6)},
    "power 1 at once": {"loss": LRPLoss(1), "schedule": Schedule()},
}
ARMS = {arm: over_seeds(LONG.but(**new)) for arm, new in CHANGES.items()}

MEASURED = ("accuracy", "balanced_accuracy", "auc", "score", "chance")
COLUMNS = [f"{part}_{name}" for part in ("patients", "site") for name in MEASURED]


def main(jobs: int) -> None:
    """Run, compare, stamp; the heatmaps are those of the first seed."""
    predictions = run_arms(ARMS, jobs)
    history = histories(ARMS)[["arm", "seed", "epoch", "train_accuracy", *COLUMNS]]
    values = {"intervals": intervals(predictions), "history": rows(history)}
    stamp("dynamics", values, ARMS, pictures())


def pictures() -> dict[str, np.ndarray]:
    """The slices of the snapshots, and their heatmaps epoch by epoch, in bytes."""
    runs = {arm: runs_folder() / ARMS[arm][0].name for arm in ARMS}
    slices = cohort_slices()
    test = tested(ARMS["plain"][0], slices)
    chosen = np.linspace(0, len(test) - 1, LONG.snapshots).round().astype(int)
    flair = list(slices.sequences).index("flair")
    found = {
        "images": np.rint(np.asarray(test.images)[chosen, flair] * 255).astype(
            np.uint8
        ),
        "tumor": np.asarray(test.tumor)[chosen].astype(np.uint8),
        "labels": np.asarray(test.labels)[chosen].astype(np.uint8),
    }
    for arm, folder in runs.items():
        shots = read_snapshots(folder)
        heat = shots["relevance"].astype(np.float32).sum(2)  # (E, n, H, W)
        found["epochs"] = shots["epoch"].astype(np.int16)
        found[f"{arm}/relevance"] = in_bytes(heat)
        found[f"{arm}/probability"] = shots["probability"].astype(np.float32)
    return found
