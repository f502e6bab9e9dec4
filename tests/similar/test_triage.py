"""Triage: what foretells an error is found, and nothing is learned from itself."""

import numpy as np
import pandas as pd
import pytest

from lrpbook_lib.similar import triage


def signals(patients=80, seed=0):
    """A table in which ``tell`` foretells errors and ``noise`` does not."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(patients), 3)
    failed = rng.random(patients) < 0.4
    return pd.DataFrame(
        {
            "patient": [f"P{n}" for n in number],
            "wrong": failed[number],
            "tell": failed[number] + 0.3 * rng.standard_normal(len(number)),
            "noise": rng.standard_normal(len(number)),
        }
    )


def test_a_telling_signal_beats_none_and_noise_does_not():
    table = signals()
    out = triage(
        table, {"tell": ["tell"], "noise": ["noise"], "both": ["tell", "noise"]}
    )
    assert len(out) == 80 and out["slices"].eq(3).all()
    first = table.groupby("patient")["wrong"].first()
    assert out.set_index("patient")["wrong"].eq(first).all()
    brier = {
        n: ((out[n] - out["wrong"]) ** 2).mean() for n in ("base", "tell", "noise")
    }
    assert brier["tell"] < 0.1 < brier["base"] < 0.27
    assert brier["noise"] > brier["base"] - 0.02
    assert abs(out["tell"].mean() - out["wrong"].mean()) < 0.05  # calibrated at large
    assert out["base"].nunique() <= 5  # one number a fold


def test_probabilities_are_out_of_fold():
    """With a signal that is unique to a patient, memory would be perfect."""
    rng = np.random.default_rng(1)
    table = signals()
    failed = table["wrong"].to_numpy()[::3]
    names = {f"s{i}": np.repeat(rng.permutation(80) == i, 3) * 9.0 for i in range(80)}
    out = triage(table.assign(**names), {"memory": list(names)})
    right = np.abs(out["memory"] - out["base"])
    assert right.max() < 0.25
    assert failed.any()


def test_a_patient_of_whom_half_the_slices_fail_is_misclassified():
    table = signals(40)
    table.loc[table["patient"] == "P0", "wrong"] = [True, False, True]
    table.loc[table["patient"] == "P1", "wrong"] = [True, False, False]
    out = triage(table, {"tell": ["tell"]}).set_index("patient")
    assert out.loc["P0", "wrong"] and not out.loc["P1", "wrong"]


def test_tables_that_cannot_be_used():
    table = signals()
    with pytest.raises(KeyError, match=r"\['score'\].*patient"):
        triage(table, {"x": ["score"]})
    with pytest.raises(ValueError, match="cannot be named"):
        triage(table, {"base": ["tell"]})
    with pytest.raises(ValueError, match=r"\['tell'\] hold NaN"):
        triage(table.assign(tell=np.nan), {"x": ["tell"]})
    few = table.assign(wrong=table["patient"].isin(["P1", "P2"]))
    with pytest.raises(ValueError, match=r"2 of 80 patients.*use folds=2"):
        triage(few, {"x": ["tell"]})
    with pytest.raises(ValueError, match=r"0 of 80 patients.*too little to learn"):
        triage(table.assign(wrong=False), {"x": ["tell"]})
