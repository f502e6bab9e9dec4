"""TCGA-LGG in one file: from small files made here, and from the real one."""

import numpy as np
import pytest

from lrpbook_lib.data import tcga_lgg_slices
from lrpbook_lib.data.cases.volumes import brain_mask


def heads(count, channels=1, seed=0, size=32):
    """A disk of tissue with a bright rim, darker in the middle, as a head looks."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size / 2 + 0.5
    r = np.hypot(y, x)
    image = np.where(r < 12, 70, 0) + np.where((r > 10) & (r < 12), 90, 0)
    noise = rng.integers(0, 6, (count, channels, size, size))
    return (image + noise * (r < 12)).astype(np.uint8), r < 12


def test_tcga_lgg_tells_of_copied_contrasts(tmp_path):
    images, _ = heads(5, channels=3)
    images[3:, 2] = images[3:, 1]  # the second patient has no contrast agent
    names = ["TCGA_CS_0001"] * 3 + ["TCGA_HT_0002"] * 2
    masks = np.zeros((5, 32, 32), np.uint8)
    path = tmp_path / "t.npz"
    np.savez(
        path,
        images=images,
        masks=masks,
        patient=names,
        who_grade=np.array([2, 2, 2, 3, 3], np.uint8),
        slice_index=np.arange(5, dtype=np.int16),
    )
    slices = tcga_lgg_slices(path)
    assert slices.labels.tolist() == [0, 0, 0, 1, 1]
    assert slices.patient[0] == "TCGA-CS-0001" and slices.site[-1] == "HT"
    assert slices.images.min() == 0 and slices.images.max() == 1
    assert slices.images[0][:, ~slices.brain[0]].max() == 0
    (row,) = slices.report().to_dict("records")
    assert row["case"] == "TCGA-HT-0002" and row["detail"] == "t1ce repeats flair"


def test_files_that_do_not_fit_are_told(tmp_path, monkeypatch):
    np.savez(tmp_path / "other.npz", images=np.zeros(3), masks=np.zeros(3))
    with pytest.raises(ValueError, match="holds no patient, who_grade"):
        tcga_lgg_slices(tmp_path / "other.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    with pytest.raises(ValueError, match="cannot be read"):
        tcga_lgg_slices(tmp_path / "cut.npz")
    monkeypatch.setattr("lrpbook_lib.data.sets.packed.data_home", lambda: None)
    with pytest.raises(FileNotFoundError, match="LRPBOOK_DATA"):
        tcga_lgg_slices()


def test_a_gray_background_is_no_head():
    images, head = heads(1)
    volume = images[0, 0][..., None].astype("f4")
    gray = np.where(head[..., None], volume - 40, 103)  # as one TCGA-LGG patient has it
    found = brain_mask([gray, volume], stripped=False)[..., 0]
    assert 2 * (found & head).sum() / (found.sum() + head.sum()) > 0.95


def test_the_real_file(real):
    slices = tcga_lgg_slices(real("tcga_lgg/tcga_lgg_128.npz"))
    assert len(set(slices.patient)) == 40 and len(slices.report()) == 5
    share = slices.brain.mean((1, 2))
    assert share.min() > 0.1 and share.max() < 0.95
    inside = (slices.brain & (slices.tumor > 0)).sum() / (slices.tumor > 0).sum()
    assert inside > 0.999
