"""What CONTRIBUTING shows can be done as it is shown, and undoes no result."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("lrpbook_lib", "book_tools", "data_scripts", "book")


# What follows runs in the copy: see the end of this file.


def lrp_rule(tmp):
    import torch
    from torch import nn

    from lrpbook_lib.lrp import Absolute, Composite, Explainer

    net = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2)
    ).double()
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    rule = Absolute(epsilon=1e-12)
    rules = Composite(dense=rule, conv=rule)
    logits, relevance = Explainer(net, rules, start="logit")(x)
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits.amax(1))
    relevance.abs().sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def operation(tmp):
    import torch
    from torch import nn

    from lrpbook_lib.lrp import Composite, Epsilon, Explainer

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(36, 2, bias=False)

        def forward(self, x):
            return self.linear(torch.rot90(x, 1, (2, 3)).flatten(1))

    net, x = Turned().double(), torch.rand(2, 1, 6, 6).double()
    explainer = Explainer(net, Composite(dense=Epsilon(1e-12)))
    logits, relevance = explainer(x, 0)
    torch.testing.assert_close(relevance.flatten(1).sum(1), logits[:, 0])
    weight = net.linear.weight[0].view(1, 1, 6, 6)
    torch.testing.assert_close(relevance, x * torch.rot90(weight, -1, (2, 3)))
    assert "rot90" in str(explainer.program)


def loss(tmp):
    from lrpbook_lib.guidance import LOSSES
    from lrpbook_lib.models import GliomaCNN
    from lrpbook_lib.training import Experiment, Trainer, TrainSettings
    from tests.training.problems import spots

    told = {"loss": {"kind": "BackgroundLoss", "lam": 2.0}}
    chosen = Experiment.from_dict(told)
    assert chosen.loss == LOSSES["BackgroundLoss"](2.0)
    assert chosen.to_dict()["loss"] == told["loss"]
    settings = TrainSettings(epochs=1, batch_size=8)
    history = Trainer(GliomaCNN(size=16), chosen.loss, settings).fit(spots(16))
    assert history["train_loss"].notna().all()


def explainer(tmp):
    import torch

    from lrpbook_lib.attribution import explainer
    from lrpbook_lib.models import GliomaCNN

    x = torch.rand(2, 3, 16, 16)
    logits, heat = explainer(GliomaCNN(size=16), "saliency")(x)
    assert logits.shape == (2, 2) and heat.shape == (2, 1, 16, 16)
    assert (heat >= 0).all() and heat.any()


def release(tmp):
    import nibabel as nib
    import numpy as np

    from lrpbook_lib.data import find_cases

    case = "BraTS-SSA-00002-000"
    volume = np.zeros((8, 8, 4), "i2")
    volume[2:6, 2:6] = 3
    (tmp / case).mkdir()
    for token in ("t1n", "t1c", "t2w", "t2f", "seg"):
        image = nib.Nifti1Image(volume, np.eye(4))
        image.to_filename(tmp / case / f"{case}-{token}.nii.gz")
    (found,) = find_cases(tmp)
    assert found.release == "BraTS 2023 SSA" and found.patient == "BraTS-SSA-00002"
    assert set(found.sequences) == {"t1", "t1ce", "t2", "flair"}
    assert found.load()["seg"].max() == 4


def network(tmp):
    import torch

    from lrpbook_lib.guidance import LRPLoss
    from lrpbook_lib.models import NETWORKS, ModelSpec, TinyNet
    from lrpbook_lib.training import Experiment, Trainer, TrainSettings, read_model
    from tests.training.problems import spots

    assert NETWORKS["TinyNet"] is TinyNet and Experiment(model="TinyNet").name
    net, data = TinyNet(size=16), spots(16)
    Trainer(net, LRPLoss(), TrainSettings(epochs=1), tmp).fit(data)
    again = read_model(tmp)
    assert again.spec == ModelSpec.of(net, data) and again.spec.network == "TinyNet"
    x = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(again.network(x), net.eval()(x))


def chapter(tmp):
    from book_tools.chapters import read_chapters
    from book_tools.layout import Layout

    layout = Layout(Path.cwd())
    chapters = {each.name: each for each in read_chapters(layout)}
    assert chapters["16_my_chapter"].complaints(layout.address) == []


def result(tmp):
    from data_scripts.results import __main__, clipping
    from data_scripts.runs import stale

    assert "clipping" in __main__.NAMES and stale("clipping") == ["not made yet"]
    assert {len(runs) for runs in clipping.ARMS.values()} == {2}
    others = {name: stale(name) for name in __main__.NAMES if name != "clipping"}
    assert len(others) > 8 and set(map(tuple, others.values())) == {()}, others


CHECKS = {
    "an LRP rule": lrp_rule,
    "an operation": operation,
    "a loss": loss,
    "an explainer": explainer,
    "a release": release,
    "a network": network,
    "a chapter": chapter,
    "a result": result,
}


def diffs():
    """What each section of CONTRIBUTING adds."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## Add (.+?)\n(.*?)(?=^## )", text, re.M | re.S)
    found = {
        name: re.findall(r"^```diff\n(.*?)^```$", body, re.M | re.S)
        for name, body in sections
    }
    return {name: "".join(parts) for name, parts in found.items() if parts}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What went wrong, by addition, in a copy to which all of them were made."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        ignored = shutil.ignore_patterns("__pycache__", "_build")
        shutil.copytree(ROOT / part, copy / part, ignore=ignored)
    shutil.copy(ROOT / "_config.yml", copy)
    wrong = {}
    for name, diff in diffs().items():
        # In no repository, not even one that holds the folder for temporary files.
        outside = {**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent)}
        done = subprocess.run(
            ["git", "apply", "-"],
            input=diff, cwd=copy, env=outside, capture_output=True, text=True,
        )  # fmt: skip
        wrong[name] = done.stderr
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(tmp_path_factory.mktemp("files"))],
        cwd=copy,  # which comes before the checkout that these tests lie in
        env={**os.environ, "PYTHONPATH": str(ROOT), "TQDM_DISABLE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for name, error in json.loads(done.stdout).items():
        wrong[name] = wrong.get(name, "") + error
    return wrong


def test_every_addition_is_shown_and_small():
    assert set(diffs()) == set(CHECKS)
    for diff in diffs().values():
        assert 1 <= diff.count("\n+++ ") <= 2
        assert len(re.findall(r"^\+(?!\+\+)", diff, re.M)) <= 20


@pytest.mark.parametrize("name", CHECKS)
def test_an_addition_works_as_shown(told, name):
    assert told[name] == ""


def main(folder):
    """Check every addition to the checkout that this runs in."""
    import traceback

    import torch

    wrong = {}
    for name, check in CHECKS.items():
        tmp = folder / check.__name__
        tmp.mkdir()
        torch.manual_seed(0)
        try:
            check(tmp)
            wrong[name] = ""
        except Exception:
            wrong[name] = traceback.format_exc()
    print(json.dumps(wrong))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
