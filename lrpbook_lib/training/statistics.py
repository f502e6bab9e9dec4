"""Intervals and tests that know that slices of one patient are not independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

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


@dataclass(frozen=True)
class PairedTest(Interval):
    """A difference of two means with its interval, and how likely it is by chance.

    Attributes
    ----------
    p_value
        Two-sided, of a permutation test by patient.
    """

    p_value: float = float("nan")


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
    low, high = _percentiles(found, level)
    return Interval(estimate, low, high, level, len(groups))


def paired_test(
    one: pd.DataFrame,
    other: pd.DataFrame,
    column: str,
    by: str = "patient",
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> PairedTest:
    """Whether a column differs between two models on the same patients.

    The statistic is the mean over patients of (mean in ``other`` minus mean in
    ``one``). Under the null hypothesis the sign of each patient's difference is a coin
    toss: the p-value counts sign patterns at least as extreme, all of them up to 14
    patients, ``draws`` random ones beyond. The interval is a bootstrap of patients.

    Parameters
    ----------
    one, other : DataFrame
        A row a slice, with the same patients.
    column, by : str
    level : float
    draws, seed : int

    Returns
    -------
    PairedTest
    """
    means = [frame.groupby(by, sort=True)[column].mean() for frame in (one, other)]
    if list(means[0].index) != list(means[1].index):
        alone = sorted(set(means[0].index) ^ set(means[1].index))
        raise ValueError(
            f"The tables differ in {len(alone)} of their values of {by!r} "
            f"({', '.join(map(str, alone[:3]))}): a paired test needs the same."
        )
    difference = (means[1] - means[0]).to_numpy(dtype=float)
    if not len(difference):
        raise ValueError("The tables are empty.")
    if np.isnan(difference).any():
        raise ValueError(f"Column {column!r} has NaN: leave those patients out.")
    found = float(difference.mean())
    rng = np.random.default_rng(seed)
    n = len(difference)
    signs = (
        np.array(list(product((1, -1), repeat=n)))
        if n <= 14
        else rng.choice((1, -1), size=(draws, n))
    )
    # A hair of tolerance: equal sums may differ in their last bits.
    extreme = np.abs(signs @ difference / n) >= abs(found) - 1e-12 * (1 + abs(found))
    hits, tries = int(extreme.sum()), len(signs)
    if n > 14:  # the pattern that was seen counts as one of the draws
        hits, tries = hits + 1, tries + 1
    picks = rng.integers(n, size=(draws, n))
    low, high = _percentiles(difference[picks].mean(1), level)
    return PairedTest(found, low, high, level, n, hits / tries)


def _groups(table: pd.DataFrame, by: str) -> list[np.ndarray]:
    """Positions of each patient's rows."""
    if by not in table:
        raise KeyError(f"There is no column {by!r}; there are {', '.join(table)}.")
    if table.empty:
        raise ValueError("The table is empty.")
    return list(_positions(table[by].to_numpy()))


def _positions(names: np.ndarray) -> Iterator[np.ndarray]:
    codes, _ = pd.factorize(names)
    for code in range(codes.max() + 1):
        yield np.flatnonzero(codes == code)


def _percentiles(found: np.ndarray, level: float) -> tuple[float, float]:
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
