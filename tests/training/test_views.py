"""What networks get to see, and nothing beside it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage

from lrpbook_lib.data import SliceSet, SwapBackground
from lrpbook_lib.training import GroupDRO, SettingsError, Trainer
from lrpbook_lib.training.behavior import _outlined, behavior, changes
from lrpbook_lib.training.running import masked, run_experiment, seen, split
from lrpbook_lib.training.segmenter import Segmenter, outlines
from lrpbook_lib.training.views import VIEWS, Crop

from .problems import spots
from .test_experiments import SMALL


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    quick = Segmenter(width=4, depth=2, steps=120, lr=0.02)
    monkeypatch.setattr(Crop, "segmenter", quick)


def test_the_oracle_sees_the_tumor_and_nothing_else(tmp_path):
    slices = spots(12)
    assert VIEWS["whole"].fit(slices, tmp_path, 0, "cpu")(slices) is slices
    tumors = VIEWS["tumor"].fit(slices, tmp_path, 0, "cpu")(slices)
    inside = np.broadcast_to(slices.tumor[:, None] > 0, slices.images.shape)
    assert (slices.images[~inside] != 0).any()
    assert (tumors.images[~inside] == 0).all()
    assert (tumors.images[inside] == slices.images[inside]).all()
    for name in ("tumor", "brain", "labels", "patient", "site"):
        assert (getattr(tumors, name) == getattr(slices, name)).all()


def test_no_pixel_outside_reaches_training_or_test(tmp_path, monkeypatch):
    slices, reached = spots(48), []

    def noted(method):
        def call(self, data, *rest):
            reached.append((method.__name__, data))
            return method(self, data, *rest)

        return call

    monkeypatch.setattr(Trainer, "fit", noted(Trainer.fit))
    monkeypatch.setattr(Trainer, "predict", noted(Trainer.predict))
    # What training is told of the masks is another thing than what the oracle sees.
    oracle = SMALL.but(view="tumor", kind="boxed", share=0.5)
    run_experiment(oracle, tmp_path, {"spots": slices})
    parts = [slices.subset(rows) for rows in split(oracle, slices).values()]
    for method, data in reached:
        (true,) = [p for p in parts if list(p.patient) == list(data.patient)]
        for item, tumor in zip(data, true.tumor, strict=True):
            assert (item["image"].numpy()[:, tumor == 0] == 0).all(), method
            assert (item["image"].numpy()[:, tumor > 0] != 0).all(), method
    assert {method for method, _ in reached} == {"fit", "predict"}


def test_a_view_that_is_none():
    with pytest.raises(SettingsError, match=r"view is 'tumour'.*mean tumor"):
        SMALL.but(view="tumour")
    assert SMALL.but(view="whole").name == SMALL.name != SMALL.but(view="tumor").name


def test_a_crop_is_what_was_outlined_and_a_margin(tmp_path):
    train, test = spots(64), spots(24, seed=1)
    crop = Crop.fit(train, tmp_path, 0, "cpu")
    assert crop.facts(test)["dice"] > 0.7
    found = outlines(crop.network, test)
    near = np.stack([ndimage.binary_dilation(m, iterations=Crop.margin) for m in found])
    assert found.any((1, 2)).all()
    seen_now = crop(test)
    outside = np.broadcast_to(~near[:, None], test.images.shape)
    assert (seen_now.images[outside] == 0).all()
    assert (seen_now.images[~outside] == test.images[~outside]).all()
    # What it sees follows from the images alone: masks of a test may say anything.
    other = crop(test.with_arrays(tumor=test.tumor * 0))
    assert (other.images == seen_now.images).all()
    # Nothing found, nothing hidden.
    black = test.with_arrays(images=test.images * 0 - 1)
    torch.nn.init.constant_(crop.network[1].bias, -1e4)
    assert (crop(black).images == -1).all()


def test_a_crop_is_fitted_once_and_the_same_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(Crop, "segmenter", replace(Crop.segmenter, steps=10))
    views = [Crop.fit(spots(16), tmp_path / name, 3, "cpu") for name in ("a", "b")]
    one, two = (view.network.state_dict() for view in views)
    assert all(torch.equal(one[k], two[k]) for k in one)
    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "fit", None)
        again = Crop.fit(spots(16), tmp_path / "a", 3, "cpu")
    assert all(torch.equal(one[k], t) for k, t in again.network.state_dict().items())
    assert again.cpu_seconds == views[0].cpu_seconds > 0
    with pytest.raises(ValueError, match="None of the slices has a mask"):
        Segmenter().fit(spots(4).with_arrays(tumor=np.zeros((4, 16, 16))))
    one = np.ones((2, 4, 4, 4))
    with pytest.raises(ValueError, match="these samples are volumes"):
        Segmenter().fit(
            SliceSet.from_arrays(one[:, None], [0, 1], one, one, ["a", "b"])
        )


def test_a_crop_learns_from_the_masks_of_the_training(tmp_path, monkeypatch):
    slices, given, reached = spots(48), [], []
    fit, learn = Trainer.fit, Segmenter.fit

    def noted(self, train, *rest):
        given.append(train)
        return learn(self, train, *rest)

    def noted_too(self, train, *rest):
        reached.append(train)
        return fit(self, train, *rest)

    monkeypatch.setattr(Segmenter, "fit", noted)
    monkeypatch.setattr(Trainer, "fit", noted_too)
    experiment = SMALL.but(view="crop", kind="boxed", amount=1, share=0.5)
    found = run_experiment(experiment, tmp_path, {"spots": slices})
    train = slices.subset(split(experiment, slices)["train"])
    (masks,) = given
    assert list(masks.patient) == list(train.patient)
    assert (masks.tumor == masked(experiment, train).tumor).all()
    assert 0 < found["train_dice"] < 1
    assert {"patients_dice", "site_dice"} <= set(found)
    history = pd.read_csv(experiment.home(tmp_path) / "history.csv")
    assert found["cpu_seconds"] > history["cpu_seconds"].sum()
    # Later, on any slices: what the network saw.
    (trained_on,) = reached
    later = seen(experiment, tmp_path, train)
    assert (later.images == trained_on.images).all()
    assert (later.images != train.images).any()


def test_stamps_know_what_yardsticks_come_to(monkeypatch):
    chosen = SMALL.but(view="crop", augment=SwapBackground(), groups=GroupDRO())
    known = behavior([chosen])
    assert {"crop: outline", "SwapBackground: image", "GroupDRO: loss"} <= set(known)
    assert changes(known, behavior([chosen])) == []
    monkeypatch.setattr(Crop, "margin", 3)
    _outlined.cache_clear()
    assert changes(known, behavior([chosen])) == ["crop: margin: 2, now 3"]
    _outlined.cache_clear()
