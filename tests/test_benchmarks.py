"""The benchmark runs, and every row it prints compares what it says."""

import subprocess
import sys

import pytest
import torch

from benchmarks import gpu, training
from benchmarks.__main__ import ROWS, limits, tables
from benchmarks.inputs import slices
from benchmarks.measure import ratio
from benchmarks.tasks import Setting

PAIR = ["what", "against"]


@pytest.mark.parametrize("space", [2, 3])
def test_a_small_table(space):
    ratios, times = tables(Setting(32, 2, "cpu", space), seconds=0.1, compiled=False)
    words = [ratios[column].str.replace(r" \(.*\)", "", regex=True) for column in PAIR]
    pairs = set(zip(*words, strict=True))
    assert ("heatmaps", "input gradient") in pairs
    assert ("CE/score step, two passes", "CE step") in pairs
    assert (("BiLRP, four regions", "one LRP a neuron") in pairs) == (space == 2)
    assert pairs <= {(what, against) for what, against, _ in ROWS}
    assert (ratios["ratio"] > 0).all()
    # The yardsticks run in every layout, and the best of them counts.
    assert len(times.columns) == 2
    assert times.loc[["input gradient", "CE step"]].notna().all(axis=None)
    told = ratios.set_index("what")["against, ms"].iloc[0]
    assert told == pytest.approx(times.loc["input gradient"].min(), abs=0.06)


def test_inputs_are_what_chapters_see():
    x, tumor, brain = slices(64, 5)
    assert 0 <= x.min() < 0.05 and 0.95 < x.max() <= 1
    assert (tumor * (1 - brain)).sum() < 0.05 * tumor.sum()
    assert tumor.flatten(1).sum(1).min() > 0


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


def test_the_report_of_a_gpu_says_where_there_is_none(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    out = tmp_path / "report.md"
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and "no CUDA device" in done.stderr
    assert not out.exists()


def test_the_papers_experiment_runs(capsys):
    gpu.paper(8, 32, 1, 4, "cpu")
    said = capsys.readouterr().out
    assert all(name in said for name in gpu.LOSSES) and "together" in said


def test_a_report_tells_of_every_part(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a device")
    good, bad = ([sys.executable, "-c", code] for code in ("print(42)", "1 / 0"))
    monkeypatch.setattr(gpu, "PARTS", {"bad": bad, "good": good})
    with pytest.raises(SystemExit, match="failed: bad"):
        gpu.report(tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text()
    assert "bad: failed" in text and "ZeroDivisionError" in text
    assert "good: done" in text and "42" in text
