"""Numbers of a table of predictions, for its rows once each or for many weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Probability that a positive sample scores above a negative one; ties count half.

    Parameters
    ----------
    truth : ndarray of shape (N,), bool
    score : ndarray of shape (N,)

    Returns
    -------
    float
        NaN where one of the classes is absent: nothing can then be compared.
    """
    truth, score = np.asarray(truth, dtype=bool), np.asarray(score)
    return float(weighted_auc(truth, score, np.ones((1, len(truth))))[0])


def summarize(
    predictions: pd.DataFrame, classes: Sequence[str] | None = None
) -> dict[str, float]:
    """Accuracy, AUC and scores of a table of predictions.

    Parameters
    ----------
    predictions : DataFrame
        From :meth:`~lrpbook_lib.training.Trainer.predict`: a row a sample.
    classes : sequence of str, optional
        Names for the labels in the columns of scores by class.

    Returns
    -------
    dict of str to float
        ``loss`` (cross entropy) and what :func:`weighted` tells.
    """
    if predictions.empty:
        raise ValueError("There are no predictions to summarize.")
    count = sum(column.startswith("p_") for column in predictions.columns)
    names = [*(classes or ()), *map(str, range(len(classes or ()), count))]
    once = weighted(predictions, np.ones((1, len(predictions))), names)
    loss = float(predictions["ce"].mean())
    return {"loss": loss, **{name: float(value[0]) for name, value in once.items()}}


def weighted(
    predictions: pd.DataFrame, weight: np.ndarray, classes: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Metrics of a table of predictions under each of several weights of its rows.

    Parameters
    ----------
    predictions : DataFrame
        A row a sample.
    weight : ndarray of shape (draws, N)
        How often each row counts.
    classes : sequence of str
        Names of the classes whose scores are told apart.

    Returns
    -------
    dict of str to ndarray of shape (draws,)
        ``accuracy``, ``balanced_accuracy`` (mean recall of the classes that are there),
        ``f1_weighted``, ``auc`` (of the second class, or the mean over classes against
        the rest; NaN where only one class is there), ``brier`` (squared distance of the
        probabilities from the truth, summed over classes) and ``too_sure`` (mean
        probability of the class that was named, minus accuracy), ``score`` and
        ``chance`` over all samples with a mask, and each of the two by class (NaN for a
        class without any).
    """
    label = predictions["label"].to_numpy()
    said = predictions["predicted"].to_numpy()
    count = sum(column.startswith("p_") for column in predictions.columns)
    total = weight.sum(1)
    said_p = predictions[[f"p_{c}" for c in range(count)]].to_numpy()
    miss = ((said_p - np.eye(count)[label]) ** 2).sum(1)
    recalls, f1, shares, areas = [], [], [], []
    for c in range(count):
        of_class = weight @ (label == c)
        hit = weight @ ((label == c) & (said == c))
        recalls.append(ratio(hit, of_class))
        f1.append(ratio(2 * hit, of_class + weight @ (said == c)))
        shares.append(ratio(of_class, total))
        if c or count > 2:  # of two classes, one tells of both
            areas.append(weighted_auc(label == c, said_p[:, c], weight))
    accuracy = ratio(weight @ (label == said), total)
    found = {
        "accuracy": accuracy,
        "balanced_accuracy": mean_told(np.array(recalls)),
        "f1_weighted": (np.nan_to_num(f1) * np.array(shares)).sum(0),
        "auc": mean_told(np.array(areas)),
        "brier": ratio(weight @ miss, total),
        "too_sure": ratio(weight @ said_p.max(1), total) - accuracy,
    }
    masked = predictions["chance"].to_numpy() > 0
    groups = [("", masked)]
    groups += [(f"_{name}", masked & (label == c)) for c, name in enumerate(classes)]
    for suffix, group in groups:
        for column in ("score", "chance"):
            values = predictions[column].to_numpy() * group
            found[column + suffix] = ratio(weight @ values, weight @ group)
    return found


def mean_told(values: np.ndarray, often: np.ndarray | float = 1.0) -> np.ndarray:
    """Mean over the first axis of what is not NaN, each counted ``often``."""
    told = np.isfinite(values) * often
    return ratio((np.nan_to_num(values) * told).sum(0), told.sum(0))


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient, and NaN where nothing was counted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(above / below)


def weighted_auc(
    truth: np.ndarray, score: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Weighted probability that a positive row scores above a negative one.

    As :func:`auc`, under each of several weights ``(draws, N)``.
    """
    _, group = np.unique(score, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) > 0])
    positive, negative = (
        np.add.reduceat((weight * side)[:, order], starts, axis=1)
        for side in (truth, ~truth)
    )
    below = np.cumsum(negative, 1) - negative / 2  # ties count half
    return ratio((positive * below).sum(1), positive.sum(1) * negative.sum(1))
