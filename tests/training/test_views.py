"""What networks get to see, and nothing beside it."""

import numpy as np
import pytest

from lrpbook_lib.training import SettingsError, Trainer
from lrpbook_lib.training.running import run_experiment, split
from lrpbook_lib.training.views import fit_view

from .problems import spots
from .test_experiments import SMALL


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


def test_the_oracle_sees_the_tumor_and_nothing_else():
    slices = spots(12)
    seen = fit_view("tumor", slices)(slices)
    inside = np.broadcast_to(slices.tumor[:, None] > 0, slices.images.shape)
    assert (slices.images[~inside] != 0).any()
    assert (seen.images[~inside] == 0).all()
    assert (seen.images[inside] == slices.images[inside]).all()
    for name in ("tumor", "brain", "labels", "patient", "site"):
        assert (getattr(seen, name) == getattr(slices, name)).all()
    assert fit_view("whole", slices)(slices) is slices


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
