"""One slice a patient of BraTS 2020: a file made by hand, and the real one."""

from collections import Counter

import numpy as np
import pytest

from lrpbook_lib.data import brats_t1ce_slices, mixed_sites, patient_folds

HEAD = "Grade,BraTS_2019_subject_ID,TCGA_TCIA_subject_ID,BraTS_2020_subject_ID\n"
ROWS = (
    "HGG,BraTS19_CBICA_AAB_1,NA,BraTS20_Training_001\n"
    "LGG,BraTS19_TCIA10_625_1,TCGA-DU-0001,BraTS20_Training_002\n"
    "HGG,NA,NA,BraTS20_Training_003\n"
)


@pytest.fixture
def packed(tmp_path):
    images = np.zeros((3, 6, 9), np.uint8)
    images[:, 1:5, 1:8] = 51
    images[:, 2, 3] = 0  # a hole in the brain
    images[0, 1, 1] = 255  # at the right (the first of X) and in front (of Y)
    path = tmp_path / "t1ce_slices.npz"
    cases = [f"BraTS20_Training_00{k}" for k in (1, 2, 3)]
    np.savez(path, images=images, case=cases)
    (tmp_path / "mapping.csv").write_text(HEAD + ROWS)
    return path, tmp_path / "mapping.csv"


def test_slices_stand_upright_in_the_middle_of_a_square(packed):
    path, table = packed
    slices = brats_t1ce_slices(path, table=table)
    assert slices.images.shape == (3, 1, 192, 192)
    # 9 rows and 6 columns, padded by 91 above and 93 on the left.
    assert slices.images[0, 0, 92, 94] == 1
    rows, columns = np.nonzero(slices.images[1, 0])
    assert (rows.min(), rows.max()) == (92, 98)
    assert (columns.min(), columns.max()) == (94, 97)
    assert slices.brain[1].sum() == 28 and slices.brain[1, 94, 95]
    assert (slices.images[1, 0] > 0).sum() == 27
    assert not slices.tumor.any()
    # Rows 90 to 92 by columns 93 to 95, of which two are brain, and one is bright.
    small = brats_t1ce_slices(path, size=64, table=table)
    assert small.images[0, 0, 30, 31] == pytest.approx((1 + 0.2) / 9)
    assert small.brain[0].any() and not small.brain[0, 30, 31]


def test_grade_site_and_patient_are_those_of_the_table(packed):
    path, table = packed
    slices = brats_t1ce_slices(path, size=64, table=table)
    assert slices.classes == ("LGG", "HGG")
    assert slices.labels.tolist() == [1, 0, 1]
    assert slices.site.tolist() == ["CBICA", "TCIA10", ""]
    assert slices.patient[0] == "CBICA_AAB" and slices.patient[1] == "TCGA-DU-0001"
    (row,) = slices.report().to_dict("records")
    assert row["case"] == "BraTS20_Training_003" and row["kind"] == "site not told"
    assert not row["dropped"]


def test_a_grade_that_is_not_told_is_no_grade(packed, tmp_path):
    path, _ = packed
    table = tmp_path / "validation.csv"
    lines = (line.split(",", 1)[1] for line in (HEAD + ROWS).splitlines())
    table.write_text("\n".join(lines) + "\n")
    assert brats_t1ce_slices(path, table=table).labels.tolist() == [-1] * 3


def test_bad_requests_say_the_way_out(packed, monkeypatch, tmp_path):
    path, table = packed
    with pytest.raises(ValueError, match="size=50 does not divide 192"):
        brats_t1ce_slices(path, size=50, table=table)
    table.write_text(HEAD + ROWS.splitlines()[0] + "\n")
    with pytest.raises(ValueError, match=r"no row for 2 of 3 cases, .*_002.*table="):
        brats_t1ce_slices(path, table=table)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"mapping\.csv is no name_mapping"):
        brats_t1ce_slices(path, table=table)
    with pytest.raises(FileNotFoundError, match=r"no .*lost\.csv.*table="):
        brats_t1ce_slices(path, table=tmp_path / "lost.csv")
    for where in ("brats_t1ce", "packed"):
        monkeypatch.setattr(f"lrpbook_lib.data.sets.{where}.data_home", lambda: None)
    with pytest.raises(FileNotFoundError, match="LRPBOOK_DATA"):
        brats_t1ce_slices(path)
    table.write_text(HEAD + ROWS)
    with pytest.raises(FileNotFoundError, match="LRPBOOK_DATA"):
        brats_t1ce_slices(table=table)
    np.savez(path, images=np.zeros((1, 200, 8)), case=["BraTS20_Training_001"])
    with pytest.raises(ValueError, match="another file"):
        brats_t1ce_slices(path, table=table)


def test_the_real_file(real):
    path = real("brats2020_t1ce/t1ce_slices.npz")
    slices = brats_t1ce_slices(path, 64, real("tables/BraTS2020_name_mapping.csv"))
    assert len(slices) == len(set(slices.patient)) == 368
    assert Counter(slices.labels.tolist()) == {1: 292, 0: 76}
    assert mixed_sites(slices) == ["2013", "TMC"]
    assert len(slices.report()) == (slices.site == "").sum() == 33
    assert 0.4 < slices.brain.mean() < 0.6 and slices.brain.any((1, 2)).all()
    # The left half of a head is like its right half, and unlike in front and back.
    head = slices.images[:, 0]
    across, along = head[:, :, ::-1], head[:, ::-1]
    assert abs(head - across).mean() < abs(head - along).mean()
    assert len(patient_folds(slices, 5)) == 5
