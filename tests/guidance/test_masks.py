"""Masks of lesser quality are what they say."""

import numpy as np
import pytest

from lrpbook_lib.guidance import annotated, coarsen


def one_mask():
    mask = np.zeros((2, 12, 12), dtype=int)
    mask[0, 4:6, 5:8] = 2
    brain = np.ones((2, 12, 12), dtype=bool)
    brain[:, 0] = False
    return mask, brain


def test_by_hand():
    mask, brain = one_mask()
    assert (coarsen(mask, brain, "exact") == (mask > 0)).all()
    boxed = coarsen(mask, brain, "boxed", 1)
    want = np.zeros((12, 12), dtype=bool)
    want[3:7, 4:9] = True
    assert (boxed[0] == want).all()
    # Grown by one in the four directions: 6 pixels, and 2 + 2 + 3 + 3 around.
    assert coarsen(mask, brain, "dilated", 1)[0].sum() == 16
    for kind in ("exact", "dilated", "boxed", "shifted", "random"):
        assert not coarsen(mask, brain, kind, 2)[1].any(), "an empty mask stays empty"


@pytest.mark.parametrize("kind", ["shifted", "random"])
def test_moved_masks_keep_their_shape_and_follow_the_seed(kind):
    mask, brain = one_mask()
    moved = coarsen(mask, brain, kind, 3, seed=1)
    assert (moved == coarsen(mask, brain, kind, 3, seed=1)).all()
    if kind == "shifted":
        assert moved[0].sum() == 6
        by = np.argwhere(moved[0]).mean(0) - np.argwhere(mask[0]).mean(0)
        assert np.hypot(*by) == pytest.approx(3, abs=0.75)
    different = [coarsen(mask, brain, kind, 3, seed=s)[0] for s in range(8)]
    assert len({m.tobytes() for m in different}) > 3


def test_masks_of_volumes():
    mask = np.zeros((1, 9, 9, 9), dtype=int)
    mask[0, 4, 4, 4] = 1
    brain = np.ones_like(mask)
    sizes = {"exact": 1, "dilated": 7, "boxed": 27, "shifted": 1, "random": 1}
    for kind, size in sizes.items():
        assert coarsen(mask, brain, kind, 1).sum() == size
    moved = np.argwhere(coarsen(mask, brain, "shifted", 3)[0])[0] - 4
    assert np.linalg.norm(moved) == pytest.approx(3, abs=0.9)


def test_a_share_of_the_patients():
    patient = np.repeat([f"p{i:02d}" for i in range(50)], 3)
    few, more = annotated(patient, 0.1, seed=2), annotated(patient, 0.5, seed=2)
    assert few.sum() == 15
    assert more.sum() == 75
    assert (few <= more).all()
    assert annotated(patient, 0.001).sum() == 3
    assert annotated(patient, 0).sum() == 0
    assert annotated(patient, 1).all()
    for name in np.unique(patient):
        assert len(set(more[patient == name])) == 1


def test_what_cannot_be():
    mask, brain = one_mask()
    with pytest.raises(ValueError, match="kind is 'blurred'"):
        coarsen(mask, brain, "blurred")
    with pytest.raises(ValueError, match="amount=-1"):
        coarsen(mask, brain, "boxed", -1)
    with pytest.raises(ValueError, match=r"share=1\.5"):
        annotated(np.array(["a"]), 1.5)
