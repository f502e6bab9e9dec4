"""Intervals that know that slices of one patient are not independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

Statistic = str | Callable[[pd.DataFrame], float]


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes
    ----------
    estimate, low, high
    level
        Coverage that the interval aims at.
    patients
        How many were drawn from.
    """

    estimate: float
    low: float
    high: float
    level: float
    patients: int

    def __str__(self) -> str:
        return f"{self.estimate:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bootstrap_interval(
    table: pd.DataFrame,
    statistic: Statistic,
    by: str = "patient",
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a statistic, drawing whole patients with replacement.

    Parameters
    ----------
    table : DataFrame
        A row a slice.
    statistic : str or callable
        A column, of which the mean over slices is taken, or a function from a table
        such as this to a number.
    by : str
        The column that names what is drawn. Several seeds of one training belong to the
        same patients: put them into one table.
    level : float
    draws, seed : int

    Returns
    -------
    Interval
        NaN draws (an AUC of one class) are left out.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} lies outside 0 to 1.")
    groups = _groups(table, by)
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(groups), size=(draws, len(groups)))
    if isinstance(statistic, str):
        values = table[statistic].to_numpy(dtype=float)
        sums = np.array([values[g].sum() for g in groups])
        counts = np.array([len(g) for g in groups])
        found = sums[picks].sum(1) / counts[picks].sum(1)
        estimate = float(values.mean())
    else:
        found = np.array(
            [
                statistic(table.iloc[np.concatenate([groups[i] for i in p])])
                for p in picks
            ]
        )
        estimate = float(statistic(table))
    low, high = percentiles(found, level)
    return Interval(estimate, low, high, level, len(groups))


def percentiles(found: np.ndarray, level: float) -> tuple[float, float]:
    """Both ends of the interval that holds a share ``level`` of the finite values."""
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _groups(table: pd.DataFrame, by: str) -> list[np.ndarray]:
    """Positions of each patient's rows."""
    if by not in table:
        raise KeyError(f"There is no column {by!r}; there are {', '.join(table)}.")
    if table.empty:
        raise ValueError("The table is empty.")
    codes, names = pd.factorize(table[by].to_numpy())
    return [np.flatnonzero(codes == code) for code in range(len(names))]
