"""The smaller budget: SliceNet, which costs less than half of the paper's network.

Many arms ask for many runs. Those that compare losses and their settings with one
another are run on this network, each beside its own plain training.
"""

from lrpbook_lib.guidance import CrossEntropy, LRPLoss

from .common import BASE, over_seeds

SMALL = BASE.but(model="SliceNet")
PLAIN = over_seeds(SMALL.but(loss=CrossEntropy()))
GUIDED = over_seeds(SMALL.but(loss=LRPLoss(1)))
