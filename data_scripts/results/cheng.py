"""Real tumors: guidance and its yardsticks on the slices of Cheng (CC BY 4.0).

An epoch has twice the steps of one on the phantom: 16 of them are 1200 steps, and
guidance begins after one epoch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import SliceSet, cheng_slices
from lrpbook_lib.guidance import LRPLoss, Schedule, SegmentationLoss

from ..runs import Arms, run_arms, stamp
from .common import intervals, pictures, tested
from .protocol import BASE, after
from .real import candidates, choose, settled

FILE = "cheng/cheng_128.npz"
START = BASE.but(
    data="cheng 64", held_out=(), epochs=16, milestones=(4, 8, 12), average=4
)
MASKED = START.but(schedule=Schedule(delay=1.0, warmup=1.0))
CHANGES = {
    "plain": START,
    "power 1": MASKED.but(loss=LRPLoss(1), guided=0.25),
    "segmentation head": MASKED.but(model="SegmentedCNN", loss=SegmentationLoss()),
    "oracle": START.but(view="tumor"),
}
SEARCHED = candidates(CHANGES, ("plain", "power 1"))
#: Heatmaps of these are kept: the oracle does not see whole slices.
SHOWN = ("plain", "power 1", "segmentation head")


def arms(values: Mapping[str, Any]) -> Arms:
    """All runs, once it is known which settings were chosen."""
    return {**SEARCHED, **settled(CHANGES, values)}


def main(jobs: int) -> None:
    """Search, run, compare, stamp."""
    file = real_data(FILE) / FILE
    slices = cheng_slices(file, size=64)
    given = {START.data: slices}
    run_arms(SEARCHED, jobs, given)
    values = choose(SEARCHED)
    runs = settled(CHANGES, values)
    ended = run_arms(runs, jobs, given)
    told: dict[str, Any] = {"parts": ["patients"], "classes": slices.classes}
    values |= {
        "intervals": intervals(ended, **told),
        "on_the_way": [
            row | {"epochs": epochs}
            for epochs in START.milestones
            for row in intervals(after(runs, epochs), **told)
        ],
        "slices": len(slices),
        "blocks": len(np.unique(slices.patient)),
    }
    kept = heatmaps({arm: runs[arm] for arm in SHOWN}, slices)
    stamp("cheng", values, arms(values), kept, {FILE: file})


def heatmaps(shown: Arms, slices: SliceSet) -> dict[str, np.ndarray]:
    """Heatmaps of two slices of each type, by their place in the fold alone.

    The images are real, and stay where they are: a reader's own copy has them.
    """
    test = tested(next(iter(shown.values()))[0], slices)
    chosen = [
        int(i) for c in range(3) for i in np.flatnonzero(test.labels == c)[5:26:20]
    ]
    kept = pictures(shown, slices, chosen)
    maps = {name: heat for name, heat in kept.items() if name.endswith("/relevance")}
    return {"index": np.asarray(test.z)[chosen], **maps}
