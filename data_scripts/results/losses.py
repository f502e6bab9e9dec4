"""Every loss of the library over its strength, at the same budget, two seeds each."""

from lrpbook_lib.guidance import (
    BCELoss,
    EnergyLoss,
    GrazPlusLoss,
    HINTLoss,
    L1Loss,
    LogRatioLoss,
    RRRLoss,
    SelfNormalizedLoss,
)

from ..runs import run_arms, stamp
from .common import BASE, collapsed, intervals, over_seeds
from .table1 import ARMS as TABLE1

SEEDS = 2
STRENGTHS = {
    "SelfNormalizedLoss": [SelfNormalizedLoss(k) for k in (0.3, 1, 3)],
    "LogRatioLoss": [LogRatioLoss(k) for k in (0.03, 0.3)],
    "EnergyLoss": [EnergyLoss(k) for k in (0.3, 3)],
    "RRRLoss": [RRRLoss(k) for k in (3, 100)],
    "GrazPlusLoss": [GrazPlusLoss(k) for k in (0.3, 3)],
    "HINTLoss": [HINTLoss(k) for k in (0.3, 3)],
    "L1Loss": [L1Loss(k) for k in (0.3, 3)],
    "BCELoss": [BCELoss(k) for k in (0.3, 3)],
}
ARMS = {
    "plain": TABLE1["plain"][:SEEDS],
    **{f"LRPLoss {k}": TABLE1[f"power {k}"][:SEEDS] for k in (1, 2, 3)},
    **{
        f"{name} {getattr(loss, loss.strength):g}": over_seeds(
            BASE.but(loss=loss), SEEDS
        )
        for name, losses in STRENGTHS.items()
        for loss in losses
    },
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    values = {
        "intervals": intervals(predictions),
        "collapsed": collapsed(predictions),
    }
    stamp("losses", values, ARMS)
