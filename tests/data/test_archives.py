"""Real slices in one file: from small files made here, and from the real ones."""

import numpy as np
import pytest

from lrpbook_lib.data import check_disjoint, cheng_slices, tcga_lgg_slices
from lrpbook_lib.data.volumes import brain_mask


def heads(count, channels=1, seed=0, size=32):
    """A disk of tissue with a bright rim, darker in the middle, as a head looks."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size / 2 + 0.5
    r = np.hypot(y, x)
    image = np.where(r < 12, 70, 0) + np.where((r > 10) & (r < 12), 90, 0)
    noise = rng.integers(0, 6, (count, channels, size, size))
    return (image + noise * (r < 12)).astype(np.uint8), r < 12


def write_cheng(path, index=(3, 4, 5, 20, 21, 22), labels=(0, 0, 0, 0, 1, 1), **more):
    images, head = heads(len(index))
    masks = np.zeros((len(index), 32, 32), np.uint8)
    masks[:, 14:18, 14:18] = 1
    arrays = {
        "images": images[:, 0],
        "masks": masks,
        "labels": np.array(labels, np.uint8),
        "index": np.array(index, np.int32),
    }
    np.savez(path, **{**arrays, **more})
    return head


def test_cheng_blocks_end_at_gaps_and_where_another_type_begins(tmp_path):
    head = write_cheng(tmp_path / "c.npz")
    slices = cheng_slices(tmp_path / "c.npz")
    assert slices.patient.tolist() == [f"block 00{b}" for b in (0, 0, 0, 1, 2, 2)]
    assert slices.classes == ("glioma", "meningioma", "pituitary")
    assert slices.z.tolist() == [3, 4, 5, 20, 21, 22]
    assert slices.images.min() == 0 and slices.images.max() == 1
    assert (slices.brain == head).mean() > 0.95
    assert slices.images[~slices.brain[:, None]].max() == 0
    assert np.unique(slices.tumor).tolist() == [0, 5]
    with pytest.raises(ValueError, match="share 1 patients"):
        check_disjoint(slices, [0], [1])


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
    (row,) = slices.report().to_dict("records")
    assert row["case"] == "TCGA-HT-0002" and row["detail"] == "t1ce repeats flair"


def test_files_that_do_not_fit_are_told(tmp_path, monkeypatch):
    write_cheng(tmp_path / "short.npz", labels=(0, 1))
    with pytest.raises(ValueError, match="differ in length"):
        cheng_slices(tmp_path / "short.npz")
    with pytest.raises(ValueError, match="holds no patient, who_grade, slice_index"):
        tcga_lgg_slices(tmp_path / "short.npz")
    write_cheng(tmp_path / "odd.npz", masks=np.full((6, 32, 32), 7, np.uint8))
    with pytest.raises(ValueError, match=r"masks hold \[7\]"):
        cheng_slices(tmp_path / "odd.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "odd.npz").read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot be read"):
        cheng_slices(tmp_path / "cut.npz")
    with pytest.raises(FileNotFoundError, match="no file"):
        cheng_slices(tmp_path / "nowhere.npz")
    monkeypatch.setattr("lrpbook_lib.data.archives.data_home", lambda: None)
    with pytest.raises(FileNotFoundError, match="LRPBOOK_DATA"):
        tcga_lgg_slices()


def test_a_gray_background_is_no_head():
    images, head = heads(1)
    volume = images[0, 0][..., None].astype("f4")
    gray = np.where(head[..., None], volume - 40, 103)  # as one TCGA-LGG patient has it
    found = brain_mask([gray, volume], stripped=False)[..., 0]
    assert 2 * (found & head).sum() / (found.sum() + head.sum()) > 0.95


def test_real_archives(real):
    cheng = cheng_slices(real("cheng/cheng_128.npz"))
    assert len(cheng) == 1550 and set(cheng.labels) == {0, 1, 2}
    one_class = {
        name: len(set(cheng.labels[cheng.patient == name]))
        for name in set(cheng.patient)
    }
    assert set(one_class.values()) == {1}
    tcga = tcga_lgg_slices(real("tcga_lgg/tcga_lgg_128.npz"))
    assert len(set(tcga.patient)) == 40 and len(tcga.report()) == 5
    for slices in (cheng, tcga):
        share = slices.brain.mean((1, 2))
        assert share.min() > 0.1 and share.max() < 0.95
        inside = (slices.brain & (slices.tumor > 0)).sum() / (slices.tumor > 0).sum()
        assert inside > 0.999
