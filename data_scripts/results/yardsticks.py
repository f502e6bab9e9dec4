"""Yardsticks for guidance: what else is done with masks, with sites, or with neither.

In the first cohort, five seeds, trained to the end. What is not guided gets twice the
epochs, which is the same computing, but for *oracle* and *crop*, which learn in half of
them.
"""

from lrpbook_lib.data import Augment, EraseBackground, RandomizeScanner
from lrpbook_lib.guidance import SegmentationLoss
from lrpbook_lib.training import GroupDRO

from ..runs import run_arms, stamp
from ..twins import twin_intervals
from .common import collapsed, intervals, over_seeds
from .protocol import GUIDED, PLAIN
from .worth import ARMS as WORTH

TURNED = Augment()
CHANGES = {
    "background erased": PLAIN.but(augment=EraseBackground(after=TURNED)),
    "scanner randomized": PLAIN.but(augment=RandomizeScanner(after=TURNED)),
    "masks at random": GUIDED.but(kind="random"),
    "segmentation head": PLAIN.but(model="SegmentedCNN", loss=SegmentationLoss()),
    "GroupDRO": PLAIN.but(groups=GroupDRO()),
}
ARMS = {
    **{arm: WORTH[arm, 1] for arm in ("plain", "power 1", "swapped", "crop", "oracle")},
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
