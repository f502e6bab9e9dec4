"""Experiments keep their name; grids lose nothing and run nothing twice."""

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lrpbook_lib.data import (
    Augment,
    EraseBackground,
    SliceSet,
    SwapBackground,
    plan_cohort,
    twin_facts,
)
from lrpbook_lib.guidance import CrossEntropy, GrazPlusLoss, LRPLoss, Schedule
from lrpbook_lib.models import register_network
from lrpbook_lib.training import (
    Experiment,
    PhantomData,
    SettingsError,
    Trainer,
    TrainSettings,
    read_model,
    run_grid,
)
from lrpbook_lib.training.experiment import MaskSettings
from lrpbook_lib.training.plain import chosen, defaults, differences, to_dict
from lrpbook_lib.training.running import masked, phantom_slices, split

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


def test_transforms_are_told_by_kind_and_augment_goes_without():
    swap = SwapBackground(share=0.25, after=Augment(degrees=5.0))
    experiment = Experiment(settings=TrainSettings(augment=swap))
    again = Experiment.from_dict(json.loads(json.dumps(experiment.to_dict())))
    assert again == experiment and again.name == experiment.name
    kind = {"kind": "SwapBackground", "share": 0.25, "after": {"degrees": 5}}
    assert chosen(experiment) == {"settings": {"augment": kind}}
    assert chosen(SMALL.but(augment=Augment()))["settings"]["augment"] == {}
    names = {SMALL.but(augment=a).name for a in (swap, Augment(), EraseBackground())}
    assert len(names) == 3
    with pytest.raises(SettingsError, match=r"transform 'SwapBack'.*mean SwapBackgr"):
        Experiment.from_dict({"settings": {"augment": {"kind": "SwapBack"}}})


def test_the_name_is_the_hash_of_what_was_chosen():
    assert chosen(Experiment()) == {}
    assert chosen(SMALL.but(loss=LRPLoss(2), seed=3)) == {
        "data": "spots",
        "held_out": ["site1"],
        "folds": 2,
        "loss": {"kind": "LRPLoss", "power": 2},
        "settings": {"epochs": 1, "seed": 3},
        "curve": "both",
    }
    # Written down: a name must be the same tomorrow, and on another machine.
    assert SMALL.name == "1fef0fbca8a40ad0"
    names = {SMALL.name, SMALL.but(seed=1).name, SMALL.but(loss=LRPLoss(1)).name}
    names |= {SMALL.but(loss=LRPLoss(1, detach=True)).name}
    names |= {SMALL.but(schedule=Schedule()).name, Experiment().name}
    assert len(names) == 6
    assert SMALL.but(seed=0) == SMALL
    assert SMALL.but(loss=LRPLoss(1.0)).name == SMALL.but(loss=LRPLoss(1)).name


def test_a_setting_that_is_learned_later_renames_nothing():
    later = dataclasses.make_dataclass(
        "TrainSettings",
        [("news", float, dataclasses.field(default=0.5))],
        bases=(TrainSettings,),
        frozen=True,
    )
    known = to_dict(SMALL)
    same = SMALL.but(settings=later(epochs=1))
    assert chosen(same) == chosen(SMALL)
    assert differences(known, same) == []
    other = SMALL.but(settings=later(epochs=1, news=2))
    assert chosen(other) != chosen(SMALL)
    assert differences(known, other) == ["settings.news: not known then, now 2"]
    assert defaults([same])["TrainSettings.news"] == 0.5
    assert "TrainSettings.epochs" not in defaults([same])


def test_a_default_that_changed_since_is_told(tmp_path):
    run_grid([SMALL], tmp_path, task=count)
    record = tmp_path / SMALL.name / "experiment.json"
    known = json.loads(record.read_text())
    known["settings"]["lr"], known["settings"]["dropped"] = 0.5, 1
    record.write_text(json.dumps(known))
    with pytest.raises(
        SettingsError, match=r"another: settings\.lr: 0\.5, now 0\.001\."
    ):
        run_grid([SMALL], tmp_path, task=count)


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
        ({"model": "SlicNet"}, r"\(did you mean SliceNet .*it takes one of .*Glioma"),
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
    inner = split(SMALL.but(inner=True), slices)
    assert set(inner) == {"train", "patients"}
    whose = {name: set(slices.patient[rows]) for name, rows in inner.items()}
    assert whose["train"] | whose["patients"] == owners["train"]
    assert not whose["train"] & whose["patients"]


def test_training_masks_may_be_fewer_and_scores_stay_true():
    slices = spots(48)
    assert masked(SMALL, slices) is slices
    few = masked(SMALL.but(kind="boxed", amount=0, share=0.5), slices)
    with_mask = few.tumor.any((1, 2))
    assert len(set(slices.patient[with_mask])) == 12
    assert (few.tumor[with_mask] >= (slices.tumor[with_mask] > 0)).all()
    assert list(few.patient) == list(slices.patient)
    slices.settings = {"normalization": "zscore"}
    assert masked(SMALL.but(share=0.5), slices).settings == slices.settings


@register_network
class Mean(torch.nn.Module):
    """A network of one's own, such as experiments take by name."""

    def __init__(self, channels=3, classes=2, size=64):
        super().__init__()
        self.features = torch.nn.Conv2d(channels, 4, 3, padding=1)
        self.classifier = torch.nn.Linear(4, classes)

    def forward(self, x):
        return self.classifier(self.features(x).relu().mean((2, 3)))


def test_a_network_of_ones_own(tmp_path):
    experiment = SMALL.but(model="Mean", loss=LRPLoss(1))
    table = run_grid([experiment], tmp_path, slices={"spots": spots(48)})
    assert list(table["status"]) == ["done"]
    read = read_model(tmp_path / experiment.name)
    assert isinstance(read.network, Mean)
    assert read.spec.arguments == {"channels": 3, "classes": 2, "size": [16, 16]}


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
    # Written down: knobs that are learned later make no slices anew.
    assert (tmp_path / "data" / "slices-59a14a1d23b45742").is_dir()


def test_further_mixed_patients_are_tested_on_and_change_no_training():
    def planned(data):
        plans = plan_cohort(data)
        blank = np.zeros((len(plans), 8, 8))
        return SliceSet.from_arrays(
            blank[:, None],
            [int(p.grade == "HGG") for p in plans],
            blank,
            blank,
            [p.case for p in plans],
            [p.site for p in plans],
        )

    few = Experiment(data=PhantomData(patients=40))
    many = few.but(extra_mixed=20)
    names = []
    for experiment in (few, many):
        slices = planned(experiment.data)
        parts = split(experiment, slices)
        names.append({k: set(slices.patient[rows]) for k, rows in parts.items()})
    assert names[0]["train"] == names[1]["train"]
    assert names[0]["patients"] == names[1]["patients"]
    assert len(names[1]["site"] - names[0]["site"]) == 20


def test_twins_are_there_to_be_tested_on(tmp_path):
    data = PhantomData(patients=9, spacing=6.0, size=32, sequences=("t1",))
    slices = phantom_slices(dataclasses.replace(data, twins=1), tmp_path)
    assert len(set(slices.patient)) == 14
    assert set(twin_facts(slices)["person"]) == {9000}
    with pytest.raises(SettingsError, match="for testing a trained network alone"):
        Experiment().but(twins=1)


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
