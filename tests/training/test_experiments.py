"""Experiments keep their name; grids lose nothing and run nothing twice."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from lrpbook_lib.guidance import CrossEntropy, GrazPlusLoss, LRPLoss, Schedule
from lrpbook_lib.training import (
    Experiment,
    PhantomData,
    SettingsError,
    Trainer,
    TrainSettings,
    read_grid,
    run_grid,
)
from lrpbook_lib.training.experiment import MaskSettings
from lrpbook_lib.training.plain import digest
from lrpbook_lib.training.running import masked, split

from .problems import spots

SMALL = Experiment(
    data="spots",
    held_out=("site1",),
    folds=2,
    settings=TrainSettings(epochs=1),
    curve="both",
)


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


def test_there_and_back():
    experiment = Experiment(
        data=PhantomData(patients=7, sequences=("t1",)),
        loss=GrazPlusLoss(0.5, region="brain"),
        settings=TrainSettings(schedule=Schedule(delay=1), seed=3),
        masks=MaskSettings("boxed", share=0.1),
        held_out=("A", "B"),
    )
    text = json.dumps(experiment.to_dict())
    again = Experiment.from_dict(json.loads(text))
    assert again == experiment
    assert again.name == experiment.name
    assert Experiment.from_dict({}) == Experiment()
    assert Experiment.from_dict({"loss": {"kind": "LRPLoss", "power": 2}}).loss == (
        LRPLoss(2)
    )


def test_the_name_is_the_hash_of_the_settings():
    assert digest({"b": 1, "a": [2.5, None]}) == digest({"a": [2.5, None], "b": 1})
    # Written down: a name must be the same tomorrow, and on another machine.
    assert digest({"a": 1}) == "015abd7f5cc57a2d"
    names = {SMALL.name, SMALL.but(seed=1).name, SMALL.but(loss=LRPLoss(1)).name}
    names |= {SMALL.but(loss=LRPLoss(1, detach=True)).name}
    assert len(names) == 4
    assert SMALL.but(seed=0) == SMALL


def test_but_reaches_into_the_parts():
    found = Experiment().but(seed=4, difficulty=0.1, share=0.5, fold=2)
    assert found.settings.seed == 4
    assert found.data.difficulty == 0.1
    assert found.data.seed == 0
    assert found.masks.share == 0.5
    assert found.fold == 2


@pytest.mark.parametrize(
    "plain, said",
    [
        ({"fould": 1}, r"fould \(did you mean folds? or folds?\?\)"),
        ({"settings": {"learning_rate": 1}}, "settings.learning_rate"),
        ({"settings": {"epoch": 1}}, r"settings\.epoch \(did you mean epochs\?\)"),
        (
            {"loss": {"kind": "LRPLos"}},
            r"'LRPLos', which is unknown \(did you mean LRPL",
        ),
        ({"loss": {"kind": "LRPLoss", "pow": 1}}, r"pow \(did you mean power\?\)"),
        ({"settings": 5}, "settings is 5; it takes a table"),
        ({"model": "ResNet"}, "takes GliomaCNN or SliceNet"),
        ({"fold": 9}, "fold=9 lies outside 0 to 4"),
        ({"curve": "all"}, "curve is 'all'"),
    ],
)
def test_settings_that_cannot_be(plain, said):
    with pytest.raises(SettingsError, match=said):
        Experiment.from_dict(plain)
    with pytest.raises(SettingsError, match="sead"):
        Experiment().but(sead=1)


def test_splits_share_no_patient_and_hold_the_site_out():
    slices = spots(48)
    parts = split(SMALL, slices)
    owners = {name: set(slices.patient[rows]) for name, rows in parts.items()}
    assert not owners["train"] & owners["patients"]
    assert not owners["train"] & owners["site"]
    assert set(slices.site[parts["site"]]) == {"site1"}
    assert "site" not in split(SMALL.but(held_out=()), slices)
    other = split(SMALL.but(fold=1), slices)
    assert set(other["patients"]) == set(parts["train"])


def test_training_masks_may_be_fewer_and_scores_stay_true():
    slices = spots(48)
    assert masked(SMALL, slices) is slices
    few = masked(SMALL.but(kind="boxed", amount=0, share=0.5), slices)
    with_mask = few.tumor.any((1, 2))
    assert len(set(slices.patient[with_mask])) == 12
    assert (few.tumor[with_mask] >= (slices.tumor[with_mask] > 0)).all()
    assert list(few.patient) == list(slices.patient)


def test_a_grid_runs_once(tmp_path, monkeypatch):
    grid = [SMALL.but(loss=loss) for loss in (CrossEntropy(), LRPLoss(2))]
    slices = {"spots": spots(64)}
    table = run_grid([*grid, grid[0]], tmp_path, slices=slices)
    assert list(table.index) == [experiment.name for experiment in grid]
    assert table["status"].eq("done").all()
    assert list(table["loss.kind"]) == ["CrossEntropy", "LRPLoss"]
    for column in ("patients_accuracy", "site_balanced_accuracy", "site_score_HGG"):
        assert table[column].between(0, 1).all()
    home = tmp_path / grid[1].name
    predictions = pd.read_csv(home / "predictions.csv")
    assert set(predictions["part"]) == {"patients", "site"}
    accuracy = (predictions["label"] == predictions["predicted"]).groupby(
        predictions["part"]
    )
    assert accuracy.mean()["site"] == table.loc[grid[1].name, "site_accuracy"]
    history = pd.read_csv(home / "history.csv")
    assert {"patients_score", "site_score", "weight"} <= set(history)

    def never(*arguments, **settings):
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(Trainer, "fit", never)
    again = run_grid(grid, tmp_path, slices=slices)
    pd.testing.assert_frame_equal(again, table)
    pd.testing.assert_frame_equal(
        read_grid(tmp_path).sort_index(), table.sort_index(), check_like=True
    )


def test_a_name_without_slices_is_said(tmp_path):
    with pytest.warns(UserWarning, match="wants the slices 'spots'"):
        table = run_grid([SMALL], tmp_path)
    assert list(table["status"]) == ["failed"]


def count(experiment, folder, slices, hardware, *, fails=(), seconds=0.0):
    """A task that writes down that it ran, in which process."""
    home = Path(folder) / experiment.name
    home.mkdir(parents=True, exist_ok=True)
    with (home / "started").open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    if experiment.settings.seed in fails:
        raise RuntimeError("no luck")
    with (home / "finished").open("a") as stream:
        stream.write(f"{os.getpid()}\n")
    return {"seed": experiment.settings.seed}


def lines(folder, experiment, what):
    path = Path(folder) / experiment.name / what
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_stops_nothing_and_is_tried_again(tmp_path, jobs):
    grid = [SMALL.but(seed=s) for s in range(4)]
    task = functools.partial(count, fails=(1,))
    with pytest.warns(UserWarning, match="1 of 4 runs failed.*no luck"):
        table = run_grid(grid, tmp_path, jobs=jobs, task=task)
    assert list(table["status"]) == ["done", "failed", "done", "done"]
    assert table["error"].iloc[1] == "RuntimeError: no luck"
    assert (tmp_path / grid[1].name / "error.txt").is_file()
    table = run_grid(grid, tmp_path, jobs=jobs, task=count)
    assert table["status"].eq("done").all()
    assert [len(lines(tmp_path, e, "started")) for e in grid] == [1, 2, 1, 1]
    assert not (tmp_path / grid[1].name / "error.txt").exists()


def test_a_cluster_loses_a_worker_and_nothing_else(tmp_path):
    import threading

    from distributed import LocalCluster

    grid = [SMALL.but(seed=s) for s in range(8)]
    task = functools.partial(count, seconds=0.25)
    killed: list[int] = []
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:

        def kill():
            """Kill the process of the third run while it is at it."""
            while len(done := [e for e in grid if lines(tmp_path, e, "finished")]) < 2:
                time.sleep(0.02)
            while not killed:
                for e in grid:
                    started = lines(tmp_path, e, "started")
                    if e not in done and started and not lines(tmp_path, e, "finished"):
                        os.kill(int(started[0]), signal.SIGKILL)
                        killed.append(int(started[0]))
                        break
                time.sleep(0.02)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        table = run_grid(grid, tmp_path, scheduler=cluster.scheduler_address, task=task)
        killer.join(5)
    assert len(killed) == 1
    assert table["status"].eq("done").all()
    assert list(table["seed"]) == list(range(8))
    assert [len(lines(tmp_path, e, "finished")) for e in grid] == [1] * 8
    starts = [len(lines(tmp_path, e, "started")) for e in grid]
    assert sorted(starts) == [1] * 7 + [2], "only the killed run started again"
    others = {lines(tmp_path, e, "finished")[0] for e in grid}
    assert len(others) >= 2, "both workers, or the killed one's heir, had a part"


def test_a_phantom_from_settings_alone(tmp_path):
    data = PhantomData(patients=14, spacing=5.0, size=64, lgg_fraction=0.5)
    experiment = Experiment(
        data=data,
        folds=2,
        loss=LRPLoss(1),
        model="SliceNet",
        settings=TrainSettings(epochs=1),
        snapshots=2,
    )
    table = run_grid([experiment], tmp_path)
    assert list(table["status"]) == ["done"]
    assert table["site_slices"].item() > 0
    assert table["patients_chance"].between(0, 1).all()
    home = tmp_path / experiment.name
    assert (home / "snapshots" / "epoch_0000.npz").is_file()


def test_importing_costs_nothing():
    code = (
        "import sys, lrpbook_lib.training; "
        "heavy = ('torch', 'lightning_fabric', 'pandas'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    import lrpbook_lib.training as training

    assert set(training.__all__) <= set(dir(training))
    assert all(getattr(training, name) is not None for name in training.__all__)
    with pytest.raises(AttributeError, match="Trayner"):
        _ = training.Trayner
