"""Stamped results: read back whole, refused when stale."""

import json

import numpy as np
import pytest

from lrpbook_lib import results
from lrpbook_lib.training.behavior import behavior, changes


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "lrpbook_lib")
    folder = tmp_path / "book" / "results"
    monkeypatch.setattr(results, "FOLDERS", (folder,))
    (tmp_path / "make.py").write_text("print(1)")
    return tmp_path


def test_a_result_comes_back_until_its_maker_changes(checkout):
    path = results.write_result("found", {"n": 3}, ["make.py"], {"set": "ab12"}, seed=4)
    assert results.read_result("found") == {"n": 3}
    stamp = json.loads(path.read_text())["stamp"]
    assert stamp["data"] == {"set": "ab12"}
    assert stamp["seed"] == 4
    (checkout / "make.py").write_text("print(2)")
    with pytest.raises(results.StaleResultError, match=r"again: python make\.py"):
        results.read_result("found")


def test_arrays_lie_beside_and_are_those_that_were_stamped(checkout):
    heat = np.arange(6, dtype=np.int8).reshape(2, 3)
    results.write_result("maps", {}, ["make.py"], {}, {"a/heat": heat})
    assert (results.read_arrays("maps")["a/heat"] == heat).all()
    with (checkout / "book" / "results" / "maps.npz").open("wb") as stream:
        np.savez(stream, **{"a/heat": heat + 1})
    with pytest.raises(results.StaleResultError, match=r"maps\.npz is not the one"):
        results.read_arrays("maps")
    results.write_result("numbers", {}, ["make.py"], {})
    with pytest.raises(FileNotFoundError, match="'numbers' has no arrays"):
        results.read_arrays("numbers")


def test_a_missing_result_is_named(checkout):
    with pytest.raises(FileNotFoundError, match="no stamped result 'lost'"):
        results.read_result("lost")


def test_results_of_the_project_are_fresh():
    found = sorted(results.FOLDERS[0].glob("*.json"))
    assert found
    for path in found:
        stamp = json.loads(path.read_text())["stamp"]
        results.check_stamp(path, stamp, results.PACKAGE.parent)


def test_training_still_comes_to_the_numbers_of_the_stamped_experiments():
    """A tiny training with every loss: what changed it makes the experiments stale."""
    now = behavior()
    told = 0
    for path in sorted(results.FOLDERS[0].glob("*.json")):
        known = json.loads(path.read_text())["stamp"].get("behavior")
        if known is not None:
            assert changes(known, now) == [], f"{path.name}: make results"
            told += 1
    assert told


def test_a_change_of_behavior_is_seen():
    known = {"LRPLoss: loss": 0.5, "phantom": 1}
    assert changes(known, {"LRPLoss: loss": 0.50001, "phantom": 1}) == []
    assert changes(known, {"LRPLoss: loss": 0.51, "phantom": 1}) == [
        "LRPLoss: loss: 0.5, now 0.51"
    ]
    assert len(changes(known, {"LRPLoss: loss": 0.5, "phantom": 2, "new": 1.0})) == 2
