"""The audit, asked about networks whose use is known, and sums made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from lrpbook_lib.audit import audit, middle_slices
from lrpbook_lib.audit.__main__ import main
from lrpbook_lib.audit.evidence import (
    Evidence,
    balanced_mean,
    mean_of,
    rank_correlation_of,
    share_of,
    weights,
)
from lrpbook_lib.data import SliceSet
from lrpbook_lib.models import GliomaCNN
from lrpbook_lib.training import Trainer, TrainSettings


class Sees(nn.Module):
    """Weighs two rectangles of a slice, tumor and elsewhere; the logit is their sum."""

    def __init__(self, tumor=0.0, around=0.0):
        super().__init__()
        self.flat = nn.Flatten()
        self.linear = nn.Linear(3 * 24 * 24, 2)
        with torch.no_grad():
            weight = torch.zeros(3, 24, 24)
            weight[:, 6:12, 4:10] = tumor
            weight[:, :, 14:] = around
            self.linear.weight.copy_(torch.stack([-weight, weight]).flatten(1))
            self.linear.bias.zero_()

    def forward(self, x):
        return self.linear(self.flat(x))


def some_slices(n=24, seed=0):
    """The class is bright (1) or dark (0) in the tumor, and around it as well."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    sign = (2 * labels - 1)[:, None, None, None]
    images = rng.normal(0, 0.1, (n, 3, 24, 24))
    tumor, brain = np.zeros((n, 24, 24), "u1"), np.ones((n, 24, 24), bool)
    tumor[:, 6:12, 4:10] = 1
    images[:, :, 6:12, 4:10] += sign
    images[:, :, :, 14:] += sign
    who = [f"p{i // 2}-{i % 2}" for i in range(n)]
    return SliceSet.from_arrays(images, labels, tumor, brain, who)


def rows(report, text):
    table = report.table
    return table[table["measure"].str.contains(text, regex=False)]


def asked(model, **more):
    others = ("gradient_x_input",)
    return audit(model, some_slices(), others=others, draws=200, **more)


def test_a_network_that_sees_the_tumor_alone():
    report = asked(Sees(tumor=1))
    erased = rows(report, "change by erasing")
    assert len(erased) == 4 and np.allclose(erased["estimate"], 1)
    assert (erased["verdict"] == "the answer hangs on the pixels of the tumor").all()
    assert rows(report, "tumors in brains")["estimate"].item() == 1
    scores = report.table[report.table["test"] == "explainers"]
    assert (scores["estimate"] > 0.99).all()
    assert np.allclose(scores["reference"], 36 / 576)
    assert rows(report, "within slices")["difference_low"].item() > 0
    assert report.skipped == ("twins: none were given; only a phantom has them",)


def test_a_network_that_ignores_the_tumor():
    report = asked(Sees(around=1))
    erased = rows(report, "change by erasing the tumor, beside its mirror image")
    assert np.allclose(erased["estimate"], 0)
    assert rows(report, "tumors in brains")["estimate"].item() == 0
    said = rows(report, "tumors in brains")["verdict"].item()
    assert said == (
        "the answer goes with what surrounds the tumor more often than with it"
    )
    scores = report.table[report.table["test"] == "explainers"]
    assert scores["verdict"].str.contains("points away from the tumor").all()


def test_a_network_that_says_one_thing_is_at_chance():
    report = asked(Sees())
    assert np.allclose(rows(report, "change by erasing")["estimate"], 0.5)
    assert rows(report, "tumors in brains")["estimate"].item() == 0.5
    assert np.allclose(rows(report, "slices: ")["estimate"], 0)
    assert np.isfinite(report.table["difference_low"]).all()


def test_it_is_the_same_again_and_leaves_the_network_as_it_was():
    torch.manual_seed(0)
    net = GliomaCNN(size=24)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.train()
    first, again = asked(net, seed=3), asked(net, seed=3)
    pd.testing.assert_frame_equal(first.table, again.table)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert first.page() == again.page()


def test_statistics_by_hand():
    rng = np.random.default_rng(0)
    a, b, once = rng.random(9), rng.random(9), np.ones((1, 9))
    assert np.isclose(rank_correlation_of(a, b)(once)[0], spearmanr(a, b).statistic)
    assert rank_correlation_of(a, np.ones(9))(once)[0] == 0
    assert share_of([3.0], [1.0])(np.ones((1, 1)))[0] == 0.75
    labels = [0, 0, 0, 1]
    assert balanced_mean([1, 1, 1, 0], labels)(np.ones((1, 4)))[0] == 0.5
    drawn = weights(np.array(["a", "a", "b", "c"]), 50, 0)
    assert (drawn[0] == 1).all() and (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[1:, 1:].sum(1) == 3).all()  # patients, not slices, are drawn


@pytest.mark.parametrize(
    ("reference", "words"), [(0.0, "above"), (1.0, "unknown"), (2.0, "below")]
)
def test_verdicts_follow_the_interval(reference, words):
    values = 1 + 0.5 * np.random.default_rng(0).normal(size=40)
    values += 1 - values.mean()
    who = np.arange(40).astype(str)
    said = ("above", "unknown", "below")
    one = Evidence("t", "m", mean_of(values), reference, "r", said, who)
    row = one.row(0.95, 500, 0)
    assert row["verdict"] == words and row["low"] < 1 < row["high"]
    wide = row["high"] - row["low"]
    assert np.isclose(wide, 2 * 1.96 * values.std() / 40**0.5, rtol=0.15)


def test_one_slice_a_patient_from_the_middle():
    images = np.zeros((7, 1, 4, 4))
    tumor = np.ones((7, 4, 4), "u1")
    tumor[6] = 0
    who = ["a", "a", "a", "b", "c", "c", "c"]
    slices = SliceSet.from_arrays(images, [0] * 7, tumor, tumor, who, z=np.arange(7))
    assert middle_slices(slices).z.tolist() == [1, 3, 5]
    assert middle_slices(slices, 2).z.tolist() == [1, 5]


def test_the_command_writes_a_page_and_a_table(tmp_path, capsys):
    slices = some_slices()
    torch.manual_seed(0)
    net = GliomaCNN(size=24)
    settings = TrainSettings(epochs=1)
    Trainer(net, settings=settings, folder=tmp_path / "run").fit(slices)
    slices.save(tmp_path / "slices")
    page = tmp_path / "audit.html"
    given = ["--model", str(tmp_path / "run"), "--slices", str(tmp_path / "slices")]
    main([*given, "--out", str(page), "--most", "12"])
    table = pd.read_csv(tmp_path / "audit.csv")
    assert set(table["test"]) == {
        "causal use",
        "map follows cause",
        "explainers",
        "sanity",
        "stability",
    }
    text = page.read_text()
    assert all(verdict in text for verdict in table["verdict"])
    assert "not for clinical" in text and "12 slices of 12 patients" in text
    assert "causal use" in capsys.readouterr().out
    with pytest.raises(ValueError, match="name a page"):
        main([*given, "--out", str(tmp_path / "audit")])


def test_bad_input_is_named():
    slices = some_slices()
    empty = slices.with_arrays(tumor=np.zeros_like(slices.tumor))
    with pytest.raises(ValueError, match="none shows a tumor"):
        audit(Sees(), empty)
