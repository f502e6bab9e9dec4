"""Which cases to hand to a person: errors foretold from what a network gives away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd


def triage(
    table: pd.DataFrame,
    signals: Mapping[str, Sequence[str]],
    wrong: str = "wrong",
    by: str = "patient",
    folds: int = 5,
    seed: int = 0,
) -> pd.DataFrame:
    """Probability that a patient is misclassified, out of fold, for sets of signals.

    A patient is one case: signals are averaged over the slices, and a patient is
    misclassified where at least half of the slices are. A logistic regression, whose
    output is a calibrated probability as far as so few cases allow, is fitted on the
    other folds alone.

    Parameters
    ----------
    table : DataFrame
        A row a slice.
    signals : mapping of str to sequence of str
        Names of sets, and the columns in each; say
        ``{"margin": ["margin"], "cases": ["score", "credibility", "homogeneity"]}``.
        No column may need the true class: at triage nobody knows it.
    wrong : str
        Column that says whether the slice is misclassified.
    by : str
        Column that names the patient.
    folds, seed : int

    Returns
    -------
    DataFrame
        A row a patient: ``wrong`` (bool), ``slices``, ``base`` (share of misclassified
        patients in the other folds, what is known without any signal), and a column of
        probabilities for each set.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = sorted({column for names in signals.values() for column in names})
    if missing := [c for c in (wrong, by, *columns) if c not in table]:
        raise KeyError(f"The table has no {missing}; it has {', '.join(table)}.")
    if clash := sorted({"wrong", "slices", "base"} & set(signals)):
        raise ValueError(f"A set of signals cannot be named {clash}: choose others.")
    if bad := [c for c in columns if not np.isfinite(table[c].to_numpy(float)).all()]:
        raise ValueError(f"Columns {bad} hold NaN or infinity: leave those rows out.")
    cases = table.assign(**{wrong: table[wrong].astype(float)}).groupby(by)
    means = cases[[wrong, *columns]].mean()
    failed = (means[wrong] >= 0.5).to_numpy()
    rarer = int(min(failed.sum(), (~failed).sum()))
    if rarer < folds:
        raise ValueError(
            f"{int(failed.sum())} of {len(failed)} patients are misclassified; folds="
            f"{folds} needs as many of either kind: "
            + (f"use folds={rarer}." if rarer > 1 else "there is too little to learn.")
        )
    out = pd.DataFrame({"wrong": failed, "slices": cases.size()}, index=means.index)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    splits = list(splitter.split(means, failed))
    for name, chosen in [("base", []), *signals.items()]:
        x = means[list(chosen)].to_numpy() if chosen else np.zeros((len(failed), 1))
        probability = np.empty(len(failed))
        for train, test in splits:
            fitted = make_pipeline(StandardScaler(), LogisticRegression())
            fitted.fit(x[train], failed[train])
            probability[test] = fitted.predict_proba(x[test])[:, 1]
        out[name] = probability
    return out.reset_index()
