"""The benchmark runs, and every row it prints compares what it says."""

import pytest

from benchmarks.__main__ import ROWS, table
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


def test_ratios_are_taken_within_a_round():
    times = {"a": [1.0, 10.0, 1.0], "b": [2.0, 20.0, 2.0]}
    assert ratio(times, "a", "b") == pytest.approx(0.5)
