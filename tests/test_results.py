"""Stamped results: read back whole, refused when what made them has changed."""

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_scripts import runs, twins
from lrpbook_lib import results
from lrpbook_lib.data import PhantomSettings
from lrpbook_lib.reached import reached_digest
from lrpbook_lib.training import Experiment, PhantomData, TrainSettings
from lrpbook_lib.training.behavior import changes

ROOT = results.PACKAGE.parent


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "PACKAGE", tmp_path / "lrpbook_lib")
    folder = tmp_path / "book" / "results"
    monkeypatch.setattr(results, "FOLDERS", (folder,))
    (tmp_path / "make.py").write_text("def main():\n    print(1)\n")
    return tmp_path


def test_a_result_comes_back_until_its_maker_changes(checkout):
    (checkout / "set.csv").write_text("a,b\n")
    data = {"set": "ab12", "file": checkout / "set.csv"}
    path = results.write_result("found", {"n": 3}, ["make.py"], data, seed=4)
    assert results.read_result("found") == {"n": 3}
    stamp = json.loads(path.read_text())["stamp"]
    assert stamp["data"]["set"] == "ab12" and len(stamp["data"]["file"]) == 16
    assert stamp["seed"] == 4
    (checkout / "make.py").write_text("def main():\n    print(2)\n")
    with pytest.raises(results.StaleResultError, match=r"again: python make\.py"):
        results.read_result("found")
    (checkout / "make.py").unlink()  # as in an installed library
    assert results.read_result("found") == {"n": 3}


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


MAKER = '''
"""Makes it."""
from . import whole
from .beside import HALF as half, unused
from elsewhere import far

START = 2
ARMS = {"a": START}
for k in range(3):
    ARMS[k] = k

def main(x: int = 1) -> int:
    """Say it."""
    from .beside import late
    return helped(x) + half + far() + whole.rest() + late()

def helped(x):
    return x + len(ARMS)

def apart():
    return unused()
'''
BESIDE = "HALF = 0.5\ndef unused():\n    return 1\ndef late():\n    return 2\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("maker.py", "START = 2", "# two\nSTART = (\n    2\n)", False),
        ("maker.py", '"""Makes it."""', '"""Makes that."""', False),
        ("maker.py", '    """Say it."""\n', "", False),
        ("maker.py", "x: int = 1) -> int", "x: float = 1)", False),
        ("maker.py", "return unused()", "return 5", False),
        ("maker.py", "def apart", "def more():\n    return 1\n\ndef apart", False),
        ("beside.py", "return 1", "return 3", False),
        ("../elsewhere.py", "return 1", "return 2", False),
        ("maker.py", "x: int = 1", "x: int = 2", True),
        ("maker.py", "START = 2", "START = 3", True),
        ("maker.py", "ARMS[k] = k", "ARMS[k] = 1", True),
        ("maker.py", "len(ARMS)", "sum(ARMS)", True),
        ("beside.py", "HALF = 0.5", "HALF = 0.25", True),
        ("beside.py", "return 2", "return 3", True),
        ("whole.py", "return 1", "return 2", True),
    ],
)
def test_what_a_function_reaches(tmp_path, file, old, new, changed):
    home = tmp_path / "scripts"
    home.mkdir()
    (home / "maker.py").write_text(MAKER)
    (home / "beside.py").write_text(BESIDE)
    (home / "whole.py").write_text("def rest():\n    return 1\n")
    (tmp_path / "elsewhere.py").write_text("def far():\n    return 1\n")
    before = reached_digest(tmp_path, "scripts/maker.py")
    text = (home / file).read_text()
    assert old in text
    (home / file).write_text(text.replace(old, new))
    assert (reached_digest(tmp_path, "scripts/maker.py") != before) == changed
    assert reached_digest(tmp_path, "scripts/maker.py:lost") == "gone"
    assert reached_digest(tmp_path, "scripts/lost.py") == "gone"


def test_a_digest_is_the_same_tomorrow_and_on_another_python(tmp_path):
    (tmp_path / "make.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass\nclass A:\n    x: int = 1\n\n"
        "async def main(*a, k=None, **b):\n    return f'{A().x:>{k}}' if a else [*b]\n"
    )
    assert reached_digest(tmp_path, "make.py") == "f14200b8f27b87f3"


def test_results_of_the_project_are_fresh():
    found = sorted(results.FOLDERS[0].glob("*.json"))
    assert found
    for path in found:
        stamp = json.loads(path.read_text())["stamp"]
        results.check_stamp(path, stamp, ROOT)


def test_checking_a_stamp_needs_no_torch():
    code = (
        "import sys, time, lrpbook_lib.results as r; began = time.perf_counter(); "
        "r.read_result('table1'); took = time.perf_counter() - began; "
        "print('torch' in sys.modules, took < 0.2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_a_change_of_behavior_is_seen():
    known = {"LRPLoss: loss": 0.5, "phantom": 1}
    assert changes(known, {"LRPLoss: loss": 0.50001, "phantom": 1}) == []
    assert changes(known, {"LRPLoss: loss": 0.51, "phantom": 1}) == [
        "LRPLoss: loss: 0.5, now 0.51"
    ]
    assert len(changes(known, {"phantom": 2})) == 2
    # What the library has learned since concerns no result of before.
    assert changes(known, {**known, "NewLoss: loss": 1.0}) == []


def test_finished_runs_are_asked_about_twins_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path))
    monkeypatch.setattr(twins, "PEOPLE", 1)
    data = PhantomData(patients=10, spacing=6.0, size=32, sequences=("t1",))
    run = Experiment(data=data, folds=2, curve="none").but(epochs=1)
    arms = {"plain": [run], "oracle": [run.but(view="tumor")]}
    with pytest.raises(FileNotFoundError, match="no finished run: run its arm first"):
        twins.twin_intervals(arms, jobs=1)
    runs.run_arms(arms, jobs=1)
    table = pd.DataFrame(twins.twin_intervals(arms, jobs=1))
    assert len(list(tmp_path.glob("runs/*/twins.csv"))) == 2
    assert set(table["protocol"]) == {"twins"} and set(table["patients"]) == {1}
    shares = table[table["metric"].str.startswith("by_")]
    whole = shares.groupby("arm")["estimate"].sum()
    assert whole.to_numpy() == pytest.approx(1, abs=1e-3)
    # Each is asked as it was trained.
    scores = table[table["metric"] == "score"].set_index("arm")["estimate"]
    assert scores["oracle"] > scores["plain"] + 0.2, scores
    monkeypatch.setattr(twins, "_answer", None)
    assert pd.DataFrame(twins.twin_intervals(arms, jobs=1)).equals(table)


def test_a_stamp_knows_how_twins_are_compared():
    assert set(runs.used([], {"history": 1})["behavior"]) == set()
    known = runs.used([], {"intervals": 1, "twins": 1})["behavior"]
    assert {key.split(":")[0] for key in known} == {"compare", "compare_twins"}
    assert all(np.isfinite(number) and number > 0 for number in known.values())


# What follows changes a copy of this checkout, and asks which results still hold.


@pytest.fixture
def copy(tmp_path):
    for part in ("lrpbook_lib", "book_tools", "data_scripts", "book/results"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignored)
    return tmp_path


def holds(copy: Path) -> dict[str, str]:
    """What ``python -m data_scripts.results --check`` says of each result."""
    done = subprocess.run(
        [sys.executable, "-m", "data_scripts.results", "--check"],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def edit(copy: Path, path: str, old: str, new: str) -> None:
    text = (copy / path).read_text()
    assert old in text
    (copy / path).write_text(text.replace(old, new))


def field_of(copy: Path, kind: type, name: str | None = None) -> tuple[Path, ast.stmt]:
    """Where a field of a dataclass stands in the copy; the last one without a name."""
    path = copy / Path(inspect.getsourcefile(kind)).relative_to(ROOT)
    (body,) = (
        node.body
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    found = [node for node in body if isinstance(node, ast.AnnAssign)]
    return path, [n for n in found if name in (None, n.target.id)][-1]


def add_field(copy: Path, kind: type, line: str) -> None:
    path, last = field_of(copy, kind)
    lines = path.read_text().splitlines()
    lines.insert(last.end_lineno, f"    {line}")
    path.write_text("\n".join(lines) + "\n")


def test_adding_something_undoes_no_result(copy):
    with (copy / "lrpbook_lib/guidance/__init__.py").open("a") as stream:
        stream.write(
            "\nfrom dataclasses import dataclass\n\n@dataclass(frozen=True)\n"
            "class NewLoss(CrossEntropy):\n    power: float = 1.0\n"
        )
    add_field(copy, TrainSettings, "news: float = 0.5")
    add_field(copy, PhantomSettings, "news: float = 0.0")
    common = copy / "data_scripts/results/common.py"
    text = common.read_text().replace("SEEDS = 5", "# five\nSEEDS = (\n    5\n)")
    common.write_text(text + "\n\ndef unused():\n    return SEEDS + 1\n")
    assert set(holds(copy).values()) == {"fresh"}


#: What follows a protocol of its own, and not the budget of ten epochs.
TO_THE_END = {"tuning", "worth", "schedules", "explainers", "fairwashing", "heads"}
TO_THE_END |= {"yardsticks", "five_numbers", "brats_sites", "cheng"}


def test_a_change_of_the_analysis_stales_what_uses_it(copy):
    common = "data_scripts/results/common.py"

    def stale():
        found = set()
        for path in (copy / "book/results").glob("*.json"):
            try:
                results.check_stamp(path, json.loads(path.read_text())["stamp"], copy)
            except results.StaleResultError:
                found.add(path.stem)
        return found

    every = {path.stem for path in (copy / "data_scripts/results").glob("[a-z]*.py")}
    every -= {"common", "protocol", "real", "heads_asked"}
    text = (copy / common).read_text()
    edit(copy, common, 'against: str | None = "plain"', "against: str | None = None")
    assert stale() == every - {"models", "tuning", "fairwashing"}
    (copy / common).write_text(text.replace("epochs=10", "epochs=11"))
    assert stale() == every - {"models", *TO_THE_END}
    (copy / common).write_text(text.replace("return np.rint(127", "return np.rint(126"))
    assert stale() == {"table1", "dynamics", "cheng", "worth", "schedules"}
    (copy / common).write_text(text)
    edit(copy, "data_scripts/results/audit.py", "(1, 3)", "(1, 2)")
    assert stale() == {"audit"}


def test_a_change_of_the_library_stales_what_uses_it(copy):
    path, knob = field_of(copy, PhantomSettings, "difficulty")
    lines = path.read_text().splitlines()
    lines[knob.lineno - 1] = "    difficulty: float = 0.25"
    path.write_text("\n".join(lines) + "\n")
    with (copy / "lrpbook_lib/guidance/__init__.py").open("a") as stream:
        stream.write("\nL1Loss.guide = lambda self, ce, *rest: 2 * ce\n")
    said = holds(copy)
    assert {name for name, words in said.items() if words == "fresh"} == {
        "heads",
        "five_numbers",
        "brats_sites",
        "cheng",
        "tcga_lgg",
    }
    default = "PhantomData.difficulty was 0.5 by default, now 0.25"
    assert said["table1"] == default
    assert default in said["losses"] and "L1Loss: score" in said["losses"]
