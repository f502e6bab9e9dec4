"""Numbers of a table of predictions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata


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
    truth = np.asarray(truth, dtype=bool)
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(score)[truth].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


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
        ``loss`` (cross entropy), ``accuracy``, ``balanced_accuracy`` (mean recall of
        the classes that are there), ``f1_weighted``, ``auc`` (of the second class, or
        the mean over classes against the rest; NaN where only one class is there),
        ``score`` and ``chance`` over all samples with a mask, and each of the two by
        class (NaN for a class without any).
    """
    if predictions.empty:
        raise ValueError("There are no predictions to summarize.")
    label = predictions["label"].to_numpy()
    said = predictions["predicted"].to_numpy()
    count = sum(column.startswith("p_") for column in predictions.columns)
    there = [c for c in range(count) if (label == c).any()]
    recall = [float((said[label == c] == c).mean()) for c in there]
    one_by_one = [
        auc(label == c, predictions[f"p_{c}"].to_numpy())
        for c in ([1] if count == 2 else there)
    ]
    row = {
        "loss": float(predictions["ce"].mean()),
        "accuracy": float((said == label).mean()),
        "balanced_accuracy": float(np.mean(recall)),
        "f1_weighted": float(
            sum(_f1(label == c, said == c) * (label == c).mean() for c in there)
        ),
        "auc": float(np.mean(one_by_one)),
    }
    masked = predictions[predictions["chance"] > 0]
    for column in ("score", "chance"):
        row[column] = float(masked[column].mean())
    for c in range(count):
        name = classes[c] if classes is not None and c < len(classes) else str(c)
        for column in ("score", "chance"):
            mine = masked.loc[masked["label"] == c, column]
            row[f"{column}_{name}"] = float(mine.mean())
    return row


def _f1(truth: np.ndarray, said: np.ndarray) -> float:
    return float(2 * (truth & said).sum() / (truth.sum() + said.sum()))
