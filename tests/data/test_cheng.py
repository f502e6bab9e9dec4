"""The packed slices of Cheng: a file made by hand, and the real one where it is."""

import numpy as np
import pytest

from lrpbook_lib.data import (
    cheng_slices,
    patient_folds,
)
from lrpbook_lib.places import (
    data_home,
)


@pytest.fixture
def packed(tmp_path):
    images = np.zeros((6, 8, 8), np.uint8)
    images[:, 1:7, 1:7] = 51
    images[2, 4, 4] = 0  # a hole in the head
    images[0, 0:2, 0:2] = 255
    masks = np.zeros_like(images)
    masks[:, 2:4, 2:4] = 1
    path = tmp_path / "cheng_128.npz"
    np.savez(
        path,
        images=images,
        masks=masks,
        labels=np.array([0, 0, 1, 1, 2, 2], np.uint8),
        index=np.array([1, 2, 3, 101, 102, 201], np.int32),
    )
    return path


def test_slices_are_scaled_and_shrunk_by_means(packed):
    whole, half = cheng_slices(packed, size=8), cheng_slices(packed, size=4)
    assert whole.images.shape == (6, 1, 8, 8)
    assert np.asarray(half.images)[0, 0, 0, 0] == pytest.approx(1.0)
    assert np.asarray(half.images)[1, 0, 1, 1] == pytest.approx(0.2)
    assert np.asarray(half.images)[1, 0, 0, 1] == pytest.approx(0.1)
    assert np.asarray(half.tumor)[1].sum() == 1
    assert list(whole.classes) == ["glioma", "meningioma", "pituitary"]


def test_a_hole_in_the_head_is_head(packed):
    assert np.asarray(cheng_slices(packed, size=8).brain)[2, 4, 4]


def test_neighbors_in_the_file_stay_together(packed):
    patient = np.asarray(cheng_slices(packed, size=8).patient)
    assert len(set(patient)) == 3
    assert len(set(patient[:3])) == 1
    assert len(set(patient[3:5])) == 1


def test_bad_requests_say_the_way_out(packed, monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="size=3 does not divide 8"):
        cheng_slices(packed, size=3)
    monkeypatch.setenv("LRPBOOK_DATA", str(tmp_path / "none"))
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match=r"fetch_cheng\.py"):
        cheng_slices()


@pytest.mark.skipif(
    data_home() is None or not (data_home() / "cheng").is_dir(),
    reason="the slices of Cheng are not here",
)
def test_the_real_file_has_31_blocks_and_folds_with_all_classes():
    slices = cheng_slices(size=64)
    assert len(set(slices.patient)) == len(slices) // 50 == 31
    assert np.asarray(slices.tumor).any((1, 2)).all()
    for train, test in patient_folds(slices, 5, seed=0):
        assert set(slices.labels[train]) == set(slices.labels[test]) == {0, 1, 2}
