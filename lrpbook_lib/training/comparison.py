"""Arms of an experiment side by side: estimates, intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from .metrics import mean_told, weighted
from .statistics import percentiles

#: Numbers of a table under each of several weights ``(draws, N)`` of its rows.
Measure = Callable[[pd.DataFrame, np.ndarray], dict[str, np.ndarray]]


def compare(
    arms: Mapping[str, Sequence[pd.DataFrame]],
    against: str | None = None,
    classes: Sequence[str] = (),
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
    by: str = "patient",
    measure: Measure | None = None,
) -> pd.DataFrame:
    r"""Metrics of each arm, and how they differ from those of one of them.

    A metric of an arm is the mean over its runs :math:`r` of the metric on the run's
    test slices, :math:`\bar m = \frac{1}{R} \sum_r m_r`. Each draw of the bootstrap
    takes runs with replacement and patients with replacement, the same patients in
    every run and every arm; differences are therefore paired.

    Parameters
    ----------
    arms : mapping of str to sequence of DataFrame
        The predictions of each run (see
        :meth:`~lrpbook_lib.training.Trainer.predict`), in the order of their seeds.
    against : str, optional
        The arm that the others are compared with, run by run: where an arm has fewer
        runs, with as many of its first ones.
    classes : sequence of str
        Names of the classes; scores are then told by class as well.
    level : float
    draws, seed : int
    by : str
        The column that names what is drawn.
    measure : callable, optional
        What is told of a run, default :func:`~lrpbook_lib.training.metrics.weighted`;
        `classes` are for that one alone.

    Returns
    -------
    DataFrame
        A row an arm and metric: ``estimate``, ``low``, ``high``, ``runs``,
        ``patients`` (how many are drawn from); with ``against``, ``difference``,
        ``difference_low`` and ``difference_high`` too, ``p``, twice the share of draws
        on the other side of zero, and ``p_corrected``, by :func:`holm` for all arms
        that the metric is compared of.
    """
    if not arms or any(not len(runs) for runs in arms.values()):
        raise ValueError("Every arm needs a run.")
    if against is not None and against not in arms:
        raise KeyError(f"There is no arm {against!r}; there are {', '.join(arms)}.")
    measure = measure or partial(weighted, classes=classes)
    rows = []
    for name, runs in arms.items():
        found = _draws(runs, by, measure, draws, seed)
        base = None
        if against is not None and name != against:
            other = arms[against][: len(runs)]
            _must_pair(name, runs, against, other, by)
            base = _draws(other, by, measure, draws, seed)
        patients = len(set().union(*(run[by] for run in runs)))
        for metric, values in found.items():
            row = {"arm": name, "metric": metric, **_interval(values, level)}
            if base is not None:
                gap = _interval(values - base[metric], level)
                keys = ("difference", "difference_low", "difference_high")
                row |= dict(zip(keys, gap.values(), strict=True))
                row["p"] = _p_value(values[1:] - base[metric][1:])
            rows.append(row | {"runs": len(runs), "patients": patients})
    table = pd.DataFrame(rows)
    if "p" in table:
        table["p_corrected"] = table.groupby("metric")["p"].transform(holm)
    return table


def holm(p: pd.Series) -> pd.Series:
    """Probabilities of several tests, corrected for their number by Holm 1979.

    Parameters
    ----------
    p : Series
        NaN where nothing was tested; these do not count.

    Returns
    -------
    Series
        In the same order: the chance of one such difference or more among all, if there
        were none. (``holm1979``)
    """
    ordered = p.dropna().sort_values()
    steps = ordered * np.arange(len(ordered), 0, -1)
    return steps.cummax().clip(upper=1.0).reindex(p.index)


def _p_value(gaps: np.ndarray) -> float:
    """Two-sided, of the draws of a difference; no less than the draws can tell."""
    known = gaps[np.isfinite(gaps)]
    if not len(known):
        return float("nan")
    smaller = min((known <= 0).mean(), (known >= 0).mean())
    return float(min(1.0, 2 * max(smaller, 1 / len(known))))


def _must_pair(
    name: str,
    runs: Sequence[pd.DataFrame],
    against: str,
    others: Sequence[pd.DataFrame],
    by: str,
) -> None:
    same = len(runs) == len(others) and all(
        set(run[by]) == set(other[by]) for run, other in zip(runs, others, strict=True)
    )
    if not same:
        raise ValueError(
            f"The runs of {name!r} and {against!r} were not tested on the same "
            f"{by}s: differences need arms of the same seeds and folds."
        )


def _interval(values: np.ndarray, level: float) -> dict[str, float]:
    """The first value is the estimate itself, the others are draws."""
    known = np.isfinite(values[0])
    low, high = percentiles(values[1:] if known else values[:0], level)
    return {"estimate": float(values[0]), "low": low, "high": high}


def _draws(
    runs: Sequence[pd.DataFrame], by: str, measure: Measure, draws: int, seed: int
) -> dict[str, np.ndarray]:
    """Each metric ``(1 + draws,)``: with every run and patient once, then drawn."""
    rng = np.random.default_rng(seed)
    names = sorted(set().union(*(run[by] for run in runs)))
    place = {name: i for i, name in enumerate(names)}
    patients = _multiplicities(rng, draws, len(names))
    often = _multiplicities(rng, draws, len(runs))
    each = [measure(run, patients[:, run[by].map(place).to_numpy()]) for run in runs]
    return {
        metric: mean_told(np.stack([one[metric] for one in each]), often.T)
        for metric in each[0]
    }


def _multiplicities(rng: np.random.Generator, draws: int, n: int) -> np.ndarray:
    """How often each of ``n`` is drawn; in the first row, once each."""
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    return np.vstack([np.ones((1, n)), drawn])
