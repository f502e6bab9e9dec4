"""Comparisons of arms, against scikit-learn and against drawing by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    roc_auc_score,
)

from lrpbook_lib.training import compare
from lrpbook_lib.training.comparison import holm


def predictions(patients=12, slices=3, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    n = patients * slices
    label = np.repeat(rng.permutation(np.arange(patients) % 2), slices)
    p = np.clip(0.5 + 0.2 * (label - 0.5) + rng.normal(0, 0.2, n) + shift, 0.01, 0.99)
    p = np.round(p, 1)  # ties
    return pd.DataFrame(
        {
            "label": label,
            "predicted": (p > 0.5).astype(int),
            "p_0": 1 - p,
            "p_1": p,
            "score": rng.random(n),
            "chance": np.where(rng.random(n) < 0.8, 0.1, 0.0),
            "patient": np.repeat([f"p{i}" for i in range(patients)], slices),
        }
    )


def value(table, arm, metric, column="estimate"):
    row = table[(table["arm"] == arm) & (table["metric"] == metric)]
    return row[column].item()


def test_estimates_are_means_over_runs_of_the_known_metrics():
    runs = [predictions(seed=s) for s in range(3)]
    table = compare({"a": runs}, classes=("x", "y"), draws=50)
    label, said = "label", "predicted"
    known = {
        "accuracy": [(r[label] == r[said]).mean() for r in runs],
        "balanced_accuracy": [balanced_accuracy_score(r[label], r[said]) for r in runs],
        "f1_weighted": [f1_score(r[label], r[said], average="weighted") for r in runs],
        "auc": [roc_auc_score(r[label], r["p_1"]) for r in runs],
        "brier": [2 * brier_score_loss(r[label], r["p_1"]) for r in runs],
        "too_sure": [
            r[["p_0", "p_1"]].max(axis=1).mean() - (r[label] == r[said]).mean()
            for r in runs
        ],
        "score": [r.loc[r["chance"] > 0, "score"].mean() for r in runs],
        "score_y": [
            r.loc[(r["chance"] > 0) & (r[label] == 1), "score"].mean() for r in runs
        ],
    }
    for metric, values in known.items():
        assert value(table, "a", metric) == pytest.approx(np.mean(values)), metric
    assert value(table, "a", "accuracy", "patients") == 12


def test_the_interval_is_that_of_drawing_whole_patients_and_runs():
    runs = [predictions(seed=s) for s in range(3)]
    table = compare({"a": runs}, draws=3000)
    rng = np.random.default_rng(5)
    names = sorted(set(runs[0]["patient"]))
    drawn = []
    for _ in range(1500):
        patients = rng.choice(names, len(names))
        chosen = rng.integers(3, size=3)
        found = []
        for i in chosen:
            by = runs[i].groupby("patient")
            whole = pd.concat([by.get_group(p) for p in patients])
            found.append((whole["label"] == whole["predicted"]).mean())
        drawn.append(np.mean(found))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert value(table, "a", "accuracy", "low") == pytest.approx(low, abs=0.02)
    assert value(table, "a", "accuracy", "high") == pytest.approx(high, abs=0.02)


def test_differences_are_paired_run_by_run():
    one = [predictions(seed=s) for s in range(4)]
    other = [run.assign(score=run["score"] + 0.25) for run in one[:2]]
    table = compare({"plain": one, "guided": other}, "plain", draws=200)
    for column in ("difference", "difference_low", "difference_high"):
        assert value(table, "guided", "score", column) == pytest.approx(0.25)
        assert value(table, "guided", "accuracy", column) == pytest.approx(0)
    assert np.isnan(value(table, "plain", "score", "difference"))


def test_arms_of_other_patients_cannot_be_paired():
    one = predictions()
    other = one.assign(patient=one["patient"] + "x")
    with pytest.raises(ValueError, match="not tested on the same patients"):
        compare({"a": [one], "b": [other]}, "a")
    with pytest.raises(KeyError, match="no arm 'c'; there are a, b"):
        compare({"a": [one], "b": [other]}, "c")
    with pytest.raises(ValueError, match="needs a run"):
        compare({"a": []})


def test_one_class_only_has_no_auc():
    run = predictions()
    table = compare({"a": [run[run["label"] == 1]]}, draws=20)
    assert np.isnan(value(table, "a", "auc"))
    assert np.isnan(value(table, "a", "auc", "low"))
    assert 0 <= value(table, "a", "balanced_accuracy") <= 1


def test_without_masks_there_are_no_scores_and_all_the_rest():
    runs = [predictions(seed=s).assign(score=0.0, chance=0.0) for s in range(2)]
    better = [run.assign(p_1=run["label"], p_0=1 - run["label"]) for run in runs]
    table = compare({"a": runs, "b": better}, "a", ("x", "y"), draws=50)
    scores = table["metric"].str.contains("score|chance")
    numbers = ["estimate", "low", "high", "difference", "p_corrected"]
    assert table.loc[scores, numbers].isna().all(axis=None)
    rest = table[~scores & (table["arm"] == "b")]
    assert rest[numbers].notna().all(axis=None)


def test_holm_by_hand():
    p = pd.Series([0.01, np.nan, 0.04, 0.03], index=list("abcd"))
    # 3 x 0.01, then 2 x 0.03, then 1 x 0.04, which may not fall below the one before.
    assert holm(p).round(9).tolist()[0::2] == [0.03, 0.06]
    assert np.isnan(holm(p)["b"]) and holm(p)["d"] == 0.06


def test_a_difference_that_is_always_there_has_a_small_p():
    runs = [predictions(seed=s) for s in range(3)]
    better = [run.assign(predicted=run["label"]) for run in runs]
    table = compare({"a": runs, "b": better, "c": runs}, "a", draws=200)
    rows = table[table["metric"] == "accuracy"].set_index("arm")
    assert rows.loc["b", "p"] == pytest.approx(2 / 200)
    assert rows.loc["b", "p_corrected"] == pytest.approx(2 * 2 / 200)
    assert rows.loc["c", "p"] == 1
