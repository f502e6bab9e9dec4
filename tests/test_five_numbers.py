"""What five intensities tell of the grade: the comparison, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from data_scripts.results.five_numbers import (
    FOLDS,
    fall,
    five_numbers,
    foretold,
    same_patients,
)
from lrpbook_lib.data import SliceSet


def predictions(part, site, label, p, fold="a"):
    """A table of one part: a patient a row."""
    p = np.asarray(p, float)
    columns = {"label": label, "predicted": (p > 0.5).astype(int), "p_0": 1 - p}
    columns |= {"p_1": p, "score": 0.0, "chance": 0.0, "part": part, "site": site}
    patient = [f"{fold} {site} {i}" for i in range(len(p))]
    return pd.DataFrame(columns | {"patient": patient})


def test_a_fall_is_the_difference_of_mean_aucs():
    known = predictions("patients", "A", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    half = predictions("site", "2013", [0, 1, 0, 1], [0.1, 0.2, 0.4, 0.3])
    wrong = predictions("site", "2013", [0, 1, 0, 1], [0.9, 0.2, 0.9, 0.3])
    estimate, low, high = fall(
        [pd.concat([known, half]), pd.concat([known, wrong])], draws=50
    )
    # Two pairs of four are in order in one run, none in the other; known sites: all.
    assert estimate == pytest.approx(1 - (0.5 + 0) / 2)
    assert low <= estimate <= high


def test_the_same_patients_are_taken_from_any_part():
    mixed = predictions("site", "2013", [0, 1, 0, 1], [0.1, 0.2, 0.4, 0.3])
    other = predictions("patients", "A", [0, 1], [0.5, 0.5])
    again = mixed.assign(part="patients", p_1=[0.1, 0.8, 0.2, 0.9])
    table = same_patients(
        [pd.concat([other, mixed])], [[again[:2], pd.concat([other, again[2:]])]]
    )
    found = {r["arm"]: r["estimate"] for r in table if r["metric"] == "auc"}
    assert found == {"held out": 0.5, "known": 1.0}


def test_five_numbers_know_the_level_and_not_the_place():
    rng = np.random.default_rng(0)
    images = rng.uniform(0.2, 0.4, (4, 1, 8, 8))
    turned = images[:, :, ::-1, ::-1]
    brain = np.ones((4, 8, 8), bool)
    brain[:, 0] = False
    blank = np.zeros_like(brain, np.uint8)
    names = list("abcd")
    slices = SliceSet.from_arrays(images, [0, 1, 0, 1], blank, brain, names)
    mirrored = SliceSet.from_arrays(
        turned, [0, 1, 0, 1], blank, brain[:, ::-1, ::-1], names
    )
    numbers = five_numbers(slices)
    assert numbers.shape == (4, 5)
    assert np.allclose(numbers, five_numbers(mirrored), atol=1e-5)
    inside = np.asarray(slices.images)[1, 0][brain[1]]
    assert numbers[1, 0] == pytest.approx(inside.mean())
    assert numbers[1, 3] == pytest.approx(np.percentile(inside, 5))


def test_a_level_that_follows_the_site_is_worth_nothing_within_one():
    rng = np.random.default_rng(0)
    n = 120
    site = np.array(["A", "B", "2013", "2013"])[np.arange(n) % 4]
    labels = np.array([0, 1, 0, 1])[np.arange(n) % 4]
    level = {"A": 0.2, "B": 0.6, "2013": 0.4}
    numbers = np.array([[level[s] + rng.normal(0, 0.02)] for s in site])
    blank = np.zeros((n, 4, 4), np.uint8)
    names = [f"p{i}" for i in range(n)]
    slices = SliceSet.from_arrays(blank[:, None], labels, blank, blank, names, site)
    apart = [foretold(e.but(held_out=("2013",)), slices, numbers) for e in FOLDS]
    every = [foretold(e.but(held_out=()), slices, numbers) for e in FOLDS]
    lost, low, _ = fall(apart, draws=50)
    assert lost > 0.3 and low > 0.2
    assert {len(run) for run in apart} == {12 + 60}
    table = same_patients(apart, [every])
    found = {r["arm"]: r["estimate"] for r in table if r["metric"] == "auc"}
    assert all(abs(value - 0.5) < 0.2 for value in found.values())
