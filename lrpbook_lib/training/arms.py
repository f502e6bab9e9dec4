"""Arms of an experiment side by side: estimates, intervals, and paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

METRICS = ("accuracy", "balanced_accuracy", "f1_weighted", "auc", "score", "chance")


def compare(
    arms: Mapping[str, Sequence[pd.DataFrame]],
    against: str | None = None,
    classes: Sequence[str] = (),
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
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

    Returns
    -------
    DataFrame
        A row an arm and metric: ``estimate``, ``low``, ``high``, ``runs``,
        ``patients``; with ``against``, ``difference``, ``difference_low`` and
        ``difference_high`` too.
    """
    if not arms or any(not len(runs) for runs in arms.values()):
        raise ValueError("Every arm needs a run.")
    if against is not None and against not in arms:
        raise KeyError(f"There is no arm {against!r}; there are {', '.join(arms)}.")
    rows = []
    for name, runs in arms.items():
        found = _draws(runs, classes, draws, seed)
        base = None
        if against is not None and name != against:
            other = arms[against][: len(runs)]
            _must_pair(name, runs, against, other)
            base = _draws(other, classes, draws, seed)
        patients = len(set().union(*(run["patient"] for run in runs)))
        for metric, values in found.items():
            row = {"arm": name, "metric": metric, **_interval(values, level)}
            if base is not None:
                gap = _interval(values - base[metric], level)
                keys = ("difference", "difference_low", "difference_high")
                row |= dict(zip(keys, gap.values(), strict=True))
            rows.append(row | {"runs": len(runs), "patients": patients})
    return pd.DataFrame(rows)


def _must_pair(
    name: str,
    runs: Sequence[pd.DataFrame],
    against: str,
    others: Sequence[pd.DataFrame],
) -> None:
    same = len(runs) == len(others) and all(
        set(run["patient"]) == set(other["patient"])
        for run, other in zip(runs, others, strict=True)
    )
    if not same:
        raise ValueError(
            f"The runs of {name!r} and {against!r} were not tested on the same "
            "patients: differences need arms of the same seeds and folds."
        )


def _interval(values: np.ndarray, level: float) -> dict[str, float]:
    """The first value is the estimate itself, the others are draws."""
    nan = float("nan")
    drawn = values[1:][np.isfinite(values[1:])]
    low, high = (
        np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
        if len(drawn) and np.isfinite(values[0])
        else (nan, nan)
    )
    return {"estimate": float(values[0]), "low": float(low), "high": float(high)}


def _draws(
    runs: Sequence[pd.DataFrame], classes: Sequence[str], draws: int, seed: int
) -> dict[str, np.ndarray]:
    """Each metric ``(1 + draws,)``: with every run and patient once, then drawn."""
    rng = np.random.default_rng(seed)
    names = sorted(set().union(*(run["patient"] for run in runs)))
    place = {name: i for i, name in enumerate(names)}
    patients = _multiplicities(rng, draws, len(names))
    often = _multiplicities(rng, draws, len(runs))
    each = [
        _metrics(run, patients[:, run["patient"].map(place).to_numpy()], classes)
        for run in runs
    ]
    found = {}
    for metric in each[0]:
        values = np.stack([one[metric] for one in each], 1)  # (1 + draws, runs)
        told = np.isfinite(values) * often
        with np.errstate(invalid="ignore"):
            total = (np.nan_to_num(values) * told).sum(1)
            found[metric] = total / told.sum(1)
    return found


def _multiplicities(rng: np.random.Generator, draws: int, n: int) -> np.ndarray:
    """How often each of ``n`` is drawn; in the first row, once each."""
    drawn = rng.multinomial(n, np.full(n, 1 / n), size=draws)
    return np.vstack([np.ones((1, n)), drawn])


def _metrics(
    run: pd.DataFrame, weight: np.ndarray, classes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Metrics of a run for each row of slice weights ``(draws, N)``."""
    label = run["label"].to_numpy()
    said = run["predicted"].to_numpy()
    count = sum(column.startswith("p_") for column in run.columns)
    total = weight.sum(1)
    recalls, f1, shares = [], [], []
    for c in range(count):
        of_class = weight @ (label == c)
        hit = weight @ ((label == c) & (said == c))
        recalls.append(_ratio(hit, of_class))
        f1.append(_ratio(2 * hit, of_class + weight @ (said == c)))
        shares.append(_ratio(of_class, total))
    recall, share = np.array(recalls), np.array(shares)
    with np.errstate(invalid="ignore"):
        told = np.isfinite(recall)
        balanced = _ratio(np.nan_to_num(recall).sum(0), told.sum(0).astype(float))
        weighted = (np.nan_to_num(np.array(f1)) * share).sum(0)
    found = {
        "accuracy": _ratio(weight @ (label == said), total),
        "balanced_accuracy": balanced,
        "f1_weighted": weighted,
        "auc": np.mean(
            [
                _auc(label == c, run[f"p_{c}"].to_numpy(), weight)
                for c in ([1] if count == 2 else range(count))
            ],
            axis=0,
        ),
    }
    masked = run["chance"].to_numpy() > 0
    groups = [("", masked)]
    groups += [(f"_{name}", masked & (label == c)) for c, name in enumerate(classes)]
    for suffix, group in groups:
        for column in ("score", "chance"):
            values = run[column].to_numpy() * group
            found[column + suffix] = _ratio(weight @ values, weight @ group)
    return found


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / below)


def _auc(truth: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted probability that a positive slice scores above a negative one."""
    _, group = np.unique(score, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) > 0])
    sums = [
        np.add.reduceat((weight * side)[:, order], starts, axis=1)
        for side in (truth, ~truth)
    ]
    positive, negative = sums
    below = np.cumsum(negative, 1) - negative / 2  # ties count half
    return _ratio((positive * below).sum(1), positive.sum(1) * negative.sum(1))
