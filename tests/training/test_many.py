"""Killed runs and several processes give the numbers of one run in one process."""

import os
import signal
import subprocess
import sys
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lrpbook_lib.guidance import LRPLoss, Schedule
from lrpbook_lib.training import GroupDRO, Hardware, Trainer, TrainSettings
from lrpbook_lib.training.batches import EpochBatches, TrainLoader
from tests.conftest import ROOT

from .problems import network, same_numbers, spots

SETTINGS = {"epochs": 6, "batch_size": 16, "lr": 2e-3}

KILLED = """
import sys, time, torch
from lrpbook_lib.data import Augment
from lrpbook_lib.guidance import LRPLoss
from lrpbook_lib.training import Callback, Trainer, TrainSettings
from tests.training.problems import network, spots
class Slow(Callback):
    def epoch_end(self, trainer):
        print(len(trainer.rows), flush=True)
        time.sleep(0.3)
torch.set_num_threads(1)
settings = TrainSettings(**%r, augment=Augment())
trainer = Trainer(network(), LRPLoss(2), settings, sys.argv[1], [Slow()])
trainer.fit(spots(), spots(seed=1))
"""

DISTRIBUTED = """
import sys, torch
from lrpbook_lib.guidance import LRPLoss, Schedule
from lrpbook_lib.training import GroupDRO, Hardware, Trainer, TrainSettings
from tests.training.problems import network, spots
torch.set_num_threads(1)
here = Hardware(accelerator="cpu", devices=2, strategy="ddp")
net = network(int(__import__("os").environ["RANK"]))  # the second one's is replaced
for dropout in (net.features[3], net.features[13]):
    dropout.p = 0.0
settings = TrainSettings(
    epochs=2, batch_size=10, optimizer="sgd", lr=0.01, guided=float(sys.argv[2]),
    schedule=Schedule(delay=0.5, warmup=0.5),
    groups=GroupDRO(step=0.5) if float(sys.argv[2]) < 1 else None,
)
trainer = Trainer(net, LRPLoss(1), settings, sys.argv[1], hardware=here)
history = trainer.fit(spots(33), spots(7, seed=1))
if trainer.fabric.global_rank == 0:
    history.to_json(sys.argv[1] + "/history.json", double_precision=15)
"""


def start(script, *arguments, **variables):
    env = {**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", **variables}
    env["PYTHONPATH"] = str(ROOT)
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_run_resumes_to_the_same_numbers_bit_for_bit(tmp_path):
    from lrpbook_lib.data import Augment

    process = start(KILLED % SETTINGS, tmp_path / "killed")
    for line in process.stdout:
        if line.strip() == "3":
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    settings = TrainSettings(**SETTINGS, augment=Augment())
    nets = {"killed": network(9), "whole": network()}
    histories = {
        name: Trainer(net, LRPLoss(2), settings, tmp_path / name).fit(
            spots(), spots(seed=1)
        )
        for name, net in nets.items()
    }
    # Two epochs came from the killed process: their clock shows its pauses.
    assert same_numbers(histories["killed"], histories["whole"])
    one, other = (
        load_file(tmp_path / name / "checkpoint.safetensors") for name in nets
    )
    assert one.keys() == other.keys()
    assert any(name.startswith("optimizer.0.exp_avg") for name in one)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_two_processes_take_the_steps_of_one(tmp_path, share):
    ports = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(29500 + os.getpid() % 2000)}
    both = [
        start(
            DISTRIBUTED,
            tmp_path,
            share,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE="2",
            LOCAL_WORLD_SIZE="2",
            GROUP_RANK="0",
            TORCHELASTIC_RUN_ID="test",  # as torchrun sets it
            **ports,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    net = network(0)
    net.features[3].p = net.features[13].p = 0.0
    settings = TrainSettings(
        epochs=2,
        batch_size=10,
        optimizer="sgd",
        lr=0.01,
        guided=share,
        schedule=Schedule(delay=0.5, warmup=0.5),
        groups=GroupDRO(step=0.5) if share < 1 else None,
    )
    history = Trainer(net, LRPLoss(1), settings).fit(spots(33), spots(7, seed=1))
    weights = load_file(tmp_path / "checkpoint.safetensors")
    start_weights = network(0).state_dict()
    for name, p in net.state_dict().items():
        torch.testing.assert_close(weights[f"model.{name}"], p, rtol=1e-3, atol=2e-5)
        assert not torch.equal(p, start_weights[name])
    theirs = pd.read_json(tmp_path / "history.json")
    columns = ["train_loss", "train_score", "weight", "val_loss", "val_score"]
    columns += ["share_site0", "share_site1"] if share < 1 else []
    np.testing.assert_allclose(theirs[columns], history[columns], rtol=1e-4)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_each_batch(world):
    whole = EpochBatches(23, 5, seed=4)
    parts = [EpochBatches(23, 5, 4, rank, world) for rank in range(world)]
    for epoch in (0, 1):
        for each in (whole, *parts):
            each.epoch = epoch
        for i, batch in enumerate(zip(*parts, strict=True)):
            assert sorted(chain(*batch)) == sorted(list(whole)[i])
    assert sorted(chain(*whole)) == list(range(23))
    assert len(EpochBatches(22, 5, 4, 0, 3)) == 4, "a rest of two is too small"
    with pytest.raises(ValueError, match="use at least 4"):
        EpochBatches(23, 3, 0, 0, 4)


def test_loading_in_processes_changes_nothing():
    from lrpbook_lib.data import Augment

    data = spots(12)
    loaders = [
        TrainLoader(data, 5, seed=1, augment=Augment(), workers=w) for w in (0, 1)
    ]
    for epoch in (0, 1):
        for (n, one), (m, other) in zip(
            *(x.epoch(epoch) for x in loaders), strict=True
        ):
            assert n == m
            assert torch.equal(one["image"], other["image"])
            assert torch.equal(one["tumor"], other["tumor"])
    first = next(iter(loaders[0].epoch(0)))[1]["image"]
    assert not torch.equal(first, next(iter(loaders[0].epoch(1)))[1]["image"])


def test_memory_does_not_grow_over_epochs():
    import tracemalloc

    def alive(epochs):
        trainer = Trainer(network(), LRPLoss(), TrainSettings(epochs=epochs))
        tracemalloc.start()
        trainer.fit(spots(16))
        import gc

        gc.collect()
        tensors = sum(isinstance(o, torch.Tensor) for o in gc.get_objects())
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return tensors, size

    alive(1)
    (few, small), (many, large) = alive(2), alive(12)
    assert many - few <= 4
    assert large - small < 500_000


@pytest.mark.parametrize(
    "attribution, share", [("none", 1.0), ("lrp", 1.0), ("lrp", 0.25)]
)
def test_compiled_or_not_is_the_same(attribution, share, monkeypatch):
    whole = torch.compile
    # Without code generation: that takes half a minute, and is torch's own affair.
    monkeypatch.setattr(torch, "compile", lambda m: whole(m, backend="aot_eager"))
    data = spots(32)
    loss = LRPLoss() if attribution == "lrp" else None
    settings = TrainSettings(
        epochs=2,
        batch_size=16,
        optimizer="sgd",
        lr=0.01,
        guided=share,
        schedule=Schedule(delay=0.5, warmup=0.5),
    )
    found = []
    for compiled in (False, True):
        net = network()
        net.features[3].p = net.features[13].p = 0.0
        hardware = Hardware(compile=compiled)
        found.append(Trainer(net, loss, settings, hardware=hardware).fit(data))
    columns = ["train_loss", "train_ce"]
    np.testing.assert_allclose(found[0][columns], found[1][columns], rtol=1e-3)


@pytest.mark.parametrize("augment", [False, True])
def test_whole_batches_are_those_of_the_items(augment):
    from lrpbook_lib.data import Augment

    data = spots(12).subset([7, 1, 2, 3, 9, 0])
    items = [{k: v for k, v in item.items() if k != "index"} for item in data]
    given = {"batch_size": 4, "seed": 1, "augment": Augment() if augment else None}
    loaders = [TrainLoader(source, **given).epoch(0) for source in (data, items)]
    for (n, one), (m, other) in zip(*loaders, strict=True):
        assert n == m
        assert one.keys() == other.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(tensor, other[name], rtol=0, atol=0)
