"""The benchmark runs, and every row it prints compares what it says."""

import pytest

from benchmarks import training
from benchmarks.__main__ import ROWS, limits, table
from benchmarks.measure import ratio
from benchmarks.tasks import Setting


def test_a_small_table():
    shown = table(Setting(32, 2, "cpu"), seconds=0.1, compiled=False)
    pairs = set(zip(shown["what"], shown["against"], strict=True))
    assert ("heatmaps", "input gradient") in pairs
    assert ("CE/score step, two passes", "CE step") in pairs
    assert ("BiLRP, four regions", "one LRP a neuron") in pairs
    assert pairs <= {(what, against) for what, against, _ in ROWS}
    assert (shown["ratio"] > 0).all()


def test_a_small_table_of_the_trainer():
    shown = training.table(size=32, batch=4, steps=2, rounds=1)
    assert {(row["what"], row["against"]) for row in shown} == {
        (what, against) for what, against, _ in training.ROWS
    }
    assert all(row["ratio"] > 0 for row in shown)


def test_times_of_similar_cases_are_for_one_query():
    shown = limits(seconds=0.1, size=32, atlas=60, many=2000)
    assert len(shown) == 4 and (shown["ms"] > 0).all()


def test_ratios_are_taken_within_a_round():
    times = {"a": [1.0, 10.0, 1.0], "b": [2.0, 20.0, 2.0]}
    assert ratio(times, "a", "b") == pytest.approx(0.5)
