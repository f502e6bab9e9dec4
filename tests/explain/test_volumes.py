"""Whole heads on the command line: own grid, own answer, bad input in a line."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch

from lrpbook_lib.attribution import explainer
from lrpbook_lib.data import find_heads, head_volumes, make_heads, own_case
from lrpbook_lib.explain.__main__ import main
from lrpbook_lib.explain.volume import explain_volume, volume_settings
from lrpbook_lib.guidance import GrazPlusLoss, Schedule
from lrpbook_lib.models import GrazNet
from lrpbook_lib.training import Trainer, TrainSettings, read_model


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Six synthetic heads of 8 mm."""
    root = tmp_path_factory.mktemp("heads")
    return make_heads(root, people=6, seed=4, spacing=8.0, workers=1)


@pytest.fixture(scope="module")
def run(heads, tmp_path_factory):
    """A network guided for an epoch on them, and where its checkpoint is."""
    folder = tmp_path_factory.mktemp("run")
    into = tmp_path_factory.mktemp("volumes") / "set"
    volumes = head_volumes(find_heads(heads), spacing=8.0, into=into, workers=1)
    settings = TrainSettings(
        epochs=1, batch_size=4, composite="zplus", start="softmax",
        schedule=Schedule(), limit=None,
    )  # fmt: skip
    torch.manual_seed(0)
    network = GrazNet(size=volumes.images.shape[2:])
    history = Trainer(network, GrazPlusLoss(1.0, "brain"), settings, folder).fit(
        volumes
    )
    assert np.isfinite(history["train_loss"]).all()
    return folder


@pytest.fixture(autouse=True)
def quiet_and_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path / "cache"))


def test_a_checkpoint_tells_how_to_make_its_volume(run):
    settings = volume_settings(read_model(run))
    assert (settings.spacing, settings.normalization, settings.centered) == (
        8.0,
        "head",
        True,
    )


def test_a_head_is_explained_as_in_training(heads, run):
    model, case = read_model(run), find_heads(heads)[1]
    found = explain_volume(case, model)
    volumes = head_volumes([case], spacing=8.0, workers=1)
    x = torch.from_numpy(np.array(volumes.images))
    logits, relevance = explainer(model.network, "zplus", start="softmax")(x)
    assert np.allclose(found.logits, logits[0].detach().numpy(), atol=1e-5)
    assert np.allclose(found.relevance, relevance[0, 0].detach().numpy(), atol=1e-7)
    assert found.masked and 0 < found.share_in_brain()[0] < 1


def test_the_heatmap_lies_on_a_turned_finer_image(heads, run, tmp_path):
    """An image of 4 mm, its axes the other way: the same answer, a map on its grid."""
    case = find_heads(heads)[0]
    small = nib.load(case.paths["t1"])
    data = np.asanyarray(small.dataobj).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    affine = small.affine @ np.diag([0.5, 0.5, 0.5, 1])
    affine[:3, 3] -= 2.0  # half a new voxel: the field of view is the same
    fine = nib.Nifti1Image(data, affine).as_reoriented([[0, -1], [2, 1], [1, 1]])
    nib.save(fine, tmp_path / "me_t1.nii.gz")
    out = tmp_path / "out"
    main(
        [
            "--model",
            str(run),
            "--image",
            str(tmp_path / "me_t1.nii.gz"),
            "--out",
            str(out),
        ]
    )
    heat = nib.load(out / "me_t1" / "heatmap.nii.gz")
    assert heat.shape == fine.shape and np.allclose(heat.affine, fine.affine)
    facts = json.loads((out / "me_t1" / "score.json").read_text())
    total = np.asanyarray(heat.dataobj).sum()
    assert total == pytest.approx(facts["overall"]["relevance"], rel=1e-3)
    assert facts["overall"]["share_in_brain"] is None  # no mask was given
    plain = explain_volume(case, read_model(run)).probabilities[1]
    assert facts["overall"]["probabilities"]["AD"] == pytest.approx(plain, abs=0.05)
    assert (out / "me_t1" / "overlay.png").stat().st_size > 1000


def test_a_folder_of_heads_is_explained_and_told(heads, run, tmp_path, capsys):
    main(["--model", str(run), "--image", str(heads), "--out", str(tmp_path / "out")])
    table = capsys.readouterr().out
    assert "sub-0006" in table and "share_in_brain" in table
    assert "not for clinical use" in table
    scores = json.loads((tmp_path / "out" / "sub-0002" / "score.json").read_text())
    assert 0 < scores["overall"]["chance"] < scores["overall"]["share_in_brain"] < 1


def test_what_a_masked_network_wants_is_said(heads, run):
    model = read_model(run)
    masked = replace(model, spec=replace(model.spec, normalization="brain"))
    own = own_case({"t1": find_heads(heads)[0].paths["t1"]})
    with pytest.raises(ValueError, match="has no brain mask beside"):
        explain_volume(own, masked)
    left = replace(model, spec=replace(model.spec, spacing=None))
    with pytest.raises(ValueError, match="for want of spacing: tell them"):
        volume_settings(left)
