"""Real tumors where the label can hardly be learned: WHO II against III in TCGA-LGG."""

import numpy as np
import pandas as pd

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import tcga_lgg_slices
from lrpbook_lib.guidance import CrossEntropy, LRPLoss, Schedule, SelfNormalizedLoss
from lrpbook_lib.training import bootstrap_interval

from ..runs import run_arms, stamp
from .common import BASE, intervals, over_seeds

FILE = "tcga_lgg/tcga_lgg_128.npz"
START = BASE.but(
    data="tcga_lgg 64",
    held_out=(),
    epochs=8,
    schedule=Schedule(delay=2.4, warmup=2.4),
)
LOSSES = {
    "plain": CrossEntropy(),
    "power 1": LRPLoss(1),
    "self-normalized": SelfNormalizedLoss(1),
}
ARMS = {arm: over_seeds(START.but(loss=loss)) for arm, loss in LOSSES.items()}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    file = real_data(FILE) / FILE
    slices = tcga_lgg_slices(file, size=64)
    predictions = run_arms(ARMS, jobs, {"tcga_lgg 64": slices})
    values = {
        "intervals": intervals(predictions, parts=["patients"], classes=slices.classes),
        "confidence": {arm: confidence(runs) for arm, runs in predictions.items()},
        "slices": len(slices),
        "patients": len(np.unique(slices.patient)),
    }
    stamp("tcga_lgg", values, ARMS, data={FILE: file})


def confidence(runs: list[pd.DataFrame]) -> dict[str, list[float]]:
    """How sure the answers are, how often right, and by how much too sure.

    Every patient is tested once, by one of the runs; intervals draw patients.
    """
    table = pd.concat(runs)
    said = table.filter(like="p_").max(axis=1)
    right = (table["predicted"] == table["label"]).astype(float)
    table = table.assign(confidence=said, right=right, too_sure=said - right)
    found = {}
    for name in ("confidence", "right", "too_sure"):
        interval = bootstrap_interval(table, name)
        found[name] = [interval.estimate, interval.low, interval.high]
    return found
