"""Yardsticks for guidance: what else is done with masks, with sites, or with neither.

In the first cohort, five seeds, trained to the end. What is not guided gets twice the
epochs, which is the same computing, but for *oracle* and *crop*, which learn in half of
them.
"""

from lrpbook_lib.data import (
    Augment,
    EraseBackground,
    RandomizeScanner,
    SwapBackground,
)
from lrpbook_lib.guidance import AdversarialLoss, SegmentationLoss
from lrpbook_lib.training import GroupBalanced, GroupDRO

from ..runs import run_arms, stamp
from ..twins import twin_intervals
from .common import collapsed, intervals, over_seeds
from .protocol import BASE, GUIDED, PLAIN
from .worth import ARMS as WORTH

TURNED = Augment()
CHANGES = {
    "crop": BASE.but(view="crop"),
    "background erased": PLAIN.but(augment=EraseBackground(after=TURNED)),
    "background swapped": PLAIN.but(augment=SwapBackground(after=TURNED)),
    "scanner randomized": PLAIN.but(augment=RandomizeScanner(after=TURNED)),
    "masks at random": GUIDED.but(kind="random"),
    "segmentation head": PLAIN.but(model="SegmentedCNN", loss=SegmentationLoss()),
    "sites balanced": PLAIN.but(groups=GroupBalanced()),
    "GroupDRO": PLAIN.but(groups=GroupDRO()),
    "adversarial": PLAIN.but(model="AdversarialCNN", loss=AdversarialLoss()),
}
ARMS = {
    **{arm: WORTH[arm, 1] for arm in ("plain", "power 1", "oracle")},
    **{arm: over_seeds(start) for arm, start in CHANGES.items()},
}


def main(jobs: int) -> None:
    """Run, compare with plain and with guided training, stamp."""
    predictions = run_arms(ARMS, jobs)
    values = {
        "intervals": intervals(predictions),
        "against_guided": intervals(predictions, against="power 1"),
        "twins": twin_intervals(ARMS, jobs),
        "collapsed": collapsed(predictions),
    }
    stamp("yardsticks", values, ARMS)
