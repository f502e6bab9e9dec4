"""Stamped results: read back whole, refused when stale."""

import json

import pytest

from lrpbook_lib import results


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


def test_a_missing_result_is_named(checkout):
    with pytest.raises(FileNotFoundError, match="no stamped result 'lost'"):
        results.read_result("lost")


def test_results_of_the_project_are_fresh():
    found = sorted(results.FOLDERS[0].glob("*.json"))
    assert found
    for path in found:
        stamp = json.loads(path.read_text())["stamp"]
        results.check_stamp(path, stamp, results.PACKAGE.parent)
