"""The audit: is it the gradient of relevance, or the learning rate? And which loss?

*As written*: the formula of the paper, without floor, warm-up, clipping or limit.
*As coded*: the authors' program, whose score carries no gradient. *Learning rate*:
plain cross entropy whose learning rate is multiplied as the score of the coded loss
multiplies it, on average. All of these are compared with plain training that is not
clipped either. Then every loss of the library at three strengths, with its defaults, on
the smaller network.
"""

import numpy as np

from lrpbook_lib.guidance import (
    BCELoss,
    EnergyLoss,
    GrazPlusLoss,
    HINTLoss,
    L1Loss,
    LogRatioLoss,
    LRPLoss,
    RRRLoss,
    Schedule,
    SelfNormalizedLoss,
)

from .common import BASE, histories, intervals, over_seeds, rows, run_arms, stamp
from .small import GUIDED, PLAIN, SMALL

POWERS = (1, 2, 3)
BARE = BASE.but(limit=None, clip=None, schedule=Schedule())
SGD = BARE.but(optimizer="sgd", lr=0.01, momentum=0.8)


def coded(power: float) -> LRPLoss:
    """The loss of the authors' program."""
    return LRPLoss(power, floor=0, detach=True, pooled=True)


CLAIMS = {
    "plain, bare": over_seeds(BARE),
    **{f"written {k}": over_seeds(BARE.but(loss=LRPLoss(k, floor=0))) for k in POWERS},
    **{f"coded {k}": over_seeds(BARE.but(loss=coded(k))) for k in POWERS},
    "plain, SGD": over_seeds(SGD),
    "coded 1, SGD": over_seeds(SGD.but(loss=coded(1))),
    "written 1, SGD": over_seeds(SGD.but(loss=LRPLoss(1, floor=0))),
}

STRENGTHS = {
    "LRPLoss": [LRPLoss(k) for k in (0.3, 2, 3)],
    "SelfNormalizedLoss": [SelfNormalizedLoss(k) for k in (0.3, 1, 3)],
    "LogRatioLoss": [LogRatioLoss(k) for k in (0.03, 0.1, 0.3)],
    "EnergyLoss": [EnergyLoss(k) for k in (0.1, 1, 10)],
    "GrazPlusLoss": [GrazPlusLoss(k) for k in (0.1, 1, 10)],
    "RRRLoss": [RRRLoss(k) for k in (1, 10, 100)],
    "HINTLoss": [HINTLoss(k) for k in (0.1, 1, 10)],
    "L1Loss": [L1Loss(k) for k in (0.1, 1, 10)],
    "BCELoss": [BCELoss(k) for k in (0.1, 1, 10)],
}
LOSSES = {
    "plain": PLAIN[:3],
    "LRPLoss 1": GUIDED[:3],
    **{
        f"{name} {getattr(loss, loss.strength):g}": over_seeds(SMALL.but(loss=loss), 3)
        for name, losses in STRENGTHS.items()
        for loss in losses
    },
}


def learning_rates() -> dict[str, float]:
    """What the coded loss multiplies the step by, on average over epochs and seeds."""
    history = histories({arm: CLAIMS[arm] for arm in CLAIMS if "coded" in arm})
    factors = {}
    for arm, table in history.groupby("arm"):
        power = float(arm.split()[1].strip(","))
        factors[arm] = float(f"{np.mean(table['train_score'] ** -power):.3g}")
    return factors


def main(jobs: int) -> None:
    """Run the coded losses, then the learning rates that they amount to, then all."""
    run_arms(CLAIMS, jobs)
    factors = learning_rates()
    rates = {}
    for arm, factor in factors.items():
        start = SGD if "SGD" in arm else BARE
        name = arm.replace("coded", "rate")
        rates[name] = over_seeds(start.but(lr=start.settings.lr * factor))
    claims = {**CLAIMS, **rates}
    values = {
        "factors": factors,
        "claims": intervals(run_arms(claims, jobs), "plain, bare"),
        "collapsed": collapsed(claims | LOSSES, jobs),
        "losses": intervals(run_arms(LOSSES, jobs)),
        "gradients": rows(shares(claims | LOSSES)),
    }
    stamp("audit", values, {**claims, **LOSSES})


def collapsed(arms: dict, jobs: int) -> dict[str, list[int]]:
    """Of each arm: runs that name one class only on held-out patients, and all runs."""
    return {
        arm: [sum(run["predicted"].nunique() == 1 for run in runs), len(runs)]
        for arm, runs in run_arms(arms, jobs).items()
    }


def shares(arms: dict) -> object:
    """How much of the gradient comes from relevance, over all epochs."""
    columns = ["gradient_share", "applied_share", "gradient_norm", "train_score"]
    table = histories(arms).groupby("arm", sort=False)[columns].mean()
    return table.reset_index()
