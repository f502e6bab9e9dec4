"""The audit: is it the gradient of relevance, or the learning rate?

*Written*: the formula of the paper, without floor, delay, clipping or limit. *Coded*:
the authors' program, whose score carries no gradient. *Rate*: plain cross entropy whose
learning rate is multiplied as the score of the coded loss multiplies the step, on
average. All are compared with plain training that is not clipped either.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lrpbook_lib.guidance import LRPLoss, Schedule, SelfNormalizedLoss

from ..runs import Arms, run_arms, stamp
from .common import BASE, collapsed, histories, intervals, over_seeds, rows

POWERS = (1, 3)
ADAM = BASE.but(limit=None, clip=None, schedule=Schedule())
SGD = ADAM.but(optimizer="sgd", lr=0.01, momentum=0.8)


def coded(power: float) -> LRPLoss:
    """The loss of the authors' program."""
    return LRPLoss(power, floor=0, detach=True, pooled=True)


CLAIMS = {
    "plain": over_seeds(ADAM),
    **{f"written {k}": over_seeds(ADAM.but(loss=LRPLoss(k, floor=0))) for k in POWERS},
    **{f"coded {k}": over_seeds(ADAM.but(loss=coded(k))) for k in POWERS},
    "self-normalized 1": over_seeds(ADAM.but(loss=SelfNormalizedLoss(1))),
    "plain, SGD": over_seeds(SGD, 3),
    "coded 1, SGD": over_seeds(SGD.but(loss=coded(1)), 3),
}
COLUMNS = ["gradient_share", "applied_share", "gradient_norm", "train_score"]


def learning_rates() -> dict[str, float]:
    """What the coded loss multiplies the step by, on average over epochs and seeds."""
    history = histories({arm: CLAIMS[arm] for arm in CLAIMS if "coded" in arm})
    factors = {}
    for arm, table in history.groupby("arm"):
        power = float(arm.split()[1].strip(","))
        factors[arm] = float(f"{np.mean(table['train_score'] ** -power):.3g}")
    return factors


def arms(values: Mapping[str, Any]) -> Arms:
    """All arms, once the ``factors`` are known that the coded losses amount to."""
    rates = {}
    for arm, factor in values["factors"].items():
        start = SGD if "SGD" in arm else ADAM
        faster = start.but(lr=start.settings.lr * factor)
        rates[arm.replace("coded", "rate")] = over_seeds(faster, len(CLAIMS[arm]))
    return {**CLAIMS, **rates}


def main(jobs: int) -> None:
    """Run the coded losses, then the learning rates that they amount to, then all."""
    run_arms(CLAIMS, jobs)
    factors = learning_rates()
    every = arms({"factors": factors})
    predictions = run_arms(every, jobs)
    history = histories(every).groupby("arm", sort=False)[COLUMNS].mean()
    values = {
        "factors": factors,
        "intervals": intervals(predictions),
        "collapsed": collapsed(predictions),
        "gradients": rows(history.reset_index()),
    }
    stamp("audit", values, every)
