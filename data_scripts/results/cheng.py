"""Real tumors: guidance and its yardsticks on the slices of Cheng (CC BY 4.0).

Trained to the end, as on the phantom. An epoch has three times the steps of one there,
so that guidance begins after one epoch instead of three.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import SliceSet, cheng_slices
from lrpbook_lib.guidance import LRPLoss, Schedule, SegmentationLoss, SelfNormalizedLoss

from ..runs import Arms, stamp
from .common import pictures, tested
from .protocol import BASE
from .real import every, judge, settled

FILE = "cheng/cheng_128.npz"
START = BASE.but(data="cheng 64", held_out=())
MASKED = START.but(schedule=Schedule(delay=1.0, warmup=1.0))
GUIDED = MASKED.but(loss=LRPLoss(1), guided=0.25)
CHANGES = {
    "plain": START,
    "power 1": GUIDED,
    "self-normalized": GUIDED.but(loss=SelfNormalizedLoss(1)),
    "segmentation head": MASKED.but(model="SegmentedCNN", loss=SegmentationLoss()),
    "crop": START.but(view="crop"),
    "oracle": START.but(view="tumor"),
}
RATES = (1e-3,)
#: Heatmaps of these are kept: the others do not see whole slices.
SHOWN = ("plain", "power 1", "self-normalized", "segmentation head")


def arms(values: Mapping[str, Any]) -> Arms:
    """All runs, once it is known which settings were chosen."""
    return every(CHANGES, RATES, values)


def main(jobs: int) -> None:
    """Search, run, compare, stamp."""
    file = real_data(FILE) / FILE
    slices = cheng_slices(file, size=64)
    values = judge(CHANGES, RATES, jobs, slices)
    runs = settled(CHANGES, values)
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
