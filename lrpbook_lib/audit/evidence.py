"""What a test has found, beside what chance would, with intervals over patients.

Statistics are functions of weights ``(draws, N)``, how often each slice counts, and
give a number for each draw. All slices of a patient count as often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from lrpbook_lib.training.statistics import percentiles

Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Evidence:
    """One measure of one test.

    Attributes
    ----------
    test, measure
    found : callable
        The statistic.
    reference : callable or float
        The same by chance, or of a control: what `found` is held against.
    beside
        What the reference is.
    verdicts
        In words, where it lies surely above the reference, where that cannot be told,
        and where it lies surely below.
    who : ndarray of shape (N,)
        The patient of each slice.
    """

    test: str
    measure: str
    found: Statistic
    reference: Statistic | float
    beside: str
    verdicts: tuple[str, str, str]
    who: np.ndarray

    def row(self, level: float, draws: int, seed: int) -> dict[str, Any]:
        """Estimate, interval, reference, the interval of their difference, verdict."""
        weight = weights(self.who, draws, seed)
        found = self.found(weight)
        beside = (
            np.full(len(weight), float(self.reference))
            if isinstance(self.reference, int | float)
            else self.reference(weight)
        )
        low, high = percentiles(found[1:], level)
        gap = percentiles((found - beside)[1:], level)
        above, unknown, below = self.verdicts
        return {
            "test": self.test,
            "measure": self.measure,
            "estimate": float(found[0]),
            "low": low,
            "high": high,
            "reference": float(beside[0]),
            "beside": self.beside,
            "difference_low": gap[0],
            "difference_high": gap[1],
            "verdict": above if gap[0] > 0 else below if gap[1] < 0 else unknown,
            "patients": len(set(self.who.tolist())),
        }


def weights(who: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """Ones first, then how often each row counts if patients are drawn anew."""
    codes, names = pd.factorize(who)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    return np.concatenate([np.ones((1, len(who))), drawn[:, codes]])


def mean_of(values: Any) -> Statistic:
    """The mean over slices."""
    values = np.asarray(values, float)
    return lambda weight: weight @ values / weight.sum(1)


def share_of(part: Any, other: Any) -> Statistic:
    """The one sum over both; one half where both are zero."""
    a, b = (np.asarray(each, float) for each in (part, other))

    def share(weight: np.ndarray) -> np.ndarray:
        top, rest = weight @ a, weight @ b
        whole = top + rest
        return np.divide(top, whole, out=np.full(len(top), 0.5), where=whole > 0)

    return share


def balanced_mean(values: Any, labels: Any) -> Statistic:
    """The mean over classes of the means within: a fixed answer gains nothing."""
    values, labels = np.asarray(values, float), np.asarray(labels)
    members = [labels == label for label in np.unique(labels)]

    def mean(weight: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            each = [weight[:, m] @ values[m] / weight[:, m].sum(1) for m in members]
        return np.mean(each, axis=0)  # NaN for draws without one of the classes

    return mean


def rank_correlation_of(first: Any, second: Any) -> Statistic:
    """Spearman's correlation over slices, whose ranks stay; zero where one is fixed."""
    a, b = (rankdata(np.asarray(each, float)) for each in (first, second))

    def correlation(weight: np.ndarray) -> np.ndarray:
        w = weight / weight.sum(1, keepdims=True)
        x, y = a - (w @ a)[:, None], b - (w @ b)[:, None]
        both = (w * x * y).sum(1)
        scale = np.sqrt((w * x**2).sum(1) * (w * y**2).sum(1))
        return np.divide(both, scale, out=np.zeros(len(w)), where=scale > 1e-9)

    return correlation
