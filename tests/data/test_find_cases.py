"""Every layout, from the real files where they are and from small ones made here."""

import gzip
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from lrpbook_lib.data import duplicates, find_cases
from lrpbook_lib.data.cases.readers import NII, Reader
from lrpbook_lib.data.cases.tables import (
    NAME_MAPPINGS,
    Record,
    Table,
    key,
    read_records,
)
from tests.data.conftest import small_case, write_volume

LOWER = {"t1": "t1", "t1ce": "t1ce", "t2": "t2", "flair": "flair", "seg": "seg"}
#: Release, folder of a case, its name pattern and the words for the sequences.
LAYOUTS = {
    "BraTS 2018": (
        "MICCAI_BraTS_2018_Data_Training/LGG/Brats18_TCIA10_639_1",
        "Brats18_TCIA10_639_1_{}.nii.gz",
        LOWER,
        {"site": "TCIA10", "grade": "LGG", "patient": "TCIA10_639"},
    ),
    "BraTS 2019": (
        "MICCAI_BraTS_2019_Data_Training/HGG/BraTS19_CBICA_AAB_1",
        "BraTS19_CBICA_AAB_1_{}.nii.gz",
        LOWER,
        {"site": "CBICA", "grade": "HGG", "patient": "CBICA_AAB"},
    ),
    "BraTS 2020": (
        "BraTS2020_TrainingData/MICCAI_BraTS2020_TrainingData/BraTS20_Training_007",
        "BraTS20_Training_007_{}.nii",
        LOWER,
        {"site": None, "grade": None, "patient": "BraTS20_Training_007"},
    ),
    "BraTS 2021": (
        "BraTS2021_Training_Data/BraTS2021_00012",
        "BraTS2021_00012_{}.nii.gz",
        LOWER,
        {"site": None, "grade": None},
    ),
    "BraTS 2023 GLI": (
        "ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData/BraTS-GLI-00003-001",
        "BraTS-GLI-00003-001-{}.nii.gz",
        {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"},
        {"site": None, "grade": None, "patient": "BraTS-GLI-00003"},
    ),
    "UCSF-PDGM": (
        "UCSF-PDGM-v3/UCSF-PDGM-0004_nifti",
        "UCSF-PDGM-0004_{}.nii.gz",
        {
            "t1": "T1",
            "t1ce": "T1c",
            "t2": "T2",
            "flair": "FLAIR_bias",
            "seg": "tumor_segmentation",
        },
        {"site": "UCSF", "grade": None, "patient": "UCSF-PDGM-0004"},
    ),
    "BraTS-TCGA": (
        "Pre-operative_TCGA_GBM_NIfTI_and_Segmentations/TCGA-02-0006",
        "TCGA-02-0006_1996.08.23_{}.nii.gz",
        {
            "t1": "t1",
            "t1ce": "t1Gd",
            "t2": "t2",
            "flair": "flair",
            "seg": "GlistrBoost_ManuallyCorrected",
        },
        {"site": "02", "grade": "HGG", "patient": "TCGA-02-0006"},
    ),
}


def write_case(root: Path, layout: str, images=None, seg=None) -> Path:
    folder, pattern, words, _ = LAYOUTS[layout]
    made, mask = small_case(labels=(1, 2, 3) if "2023" in layout else (1, 2, 4))
    for name, array in {
        **(images or made),
        "seg": mask if seg is None else seg,
    }.items():
        write_volume(root / folder / pattern.format(words[name]), array)
    return root / folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_is_recognized(tmp_path, layout):
    write_case(tmp_path, layout)
    (tmp_path / "README.txt").write_text("not a case")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    (tmp_path / "loop").symlink_to(tmp_path)
    cases = find_cases(tmp_path)
    assert len(cases) == 1 and cases.report().empty
    case = cases[0]
    assert case.release == layout
    for name, value in LAYOUTS[layout][3].items():
        assert getattr(case, name) == value, name
    images, seg = small_case()
    volumes = case.load()
    assert set(volumes) == {"t1", "t1ce", "t2", "flair", "seg", "brain"}
    for name, array in images.items():
        # The files' axes run left and back; the loaded ones right and front.
        np.testing.assert_array_equal(volumes[name], array[::-1, ::-1])
    np.testing.assert_array_equal(volumes["seg"], seg[::-1, ::-1])
    np.testing.assert_array_equal(volumes["brain"], images["t1"][::-1, ::-1] > 0)
    assert volumes.spacing == (1, 1, 1)


def test_modality_names_in_any_case(tmp_path):
    folder = write_case(tmp_path, "BraTS 2018")
    for path in list(folder.iterdir()):
        head, tail = path.name.rsplit("_", 1)
        path.rename(path.with_name(f"{head.upper()}_{tail.upper()}"))
    (case,) = find_cases(tmp_path)
    assert case.site == "TCIA10" and case.grade == "LGG"
    assert case.load()["flair"].any()


def test_upenn_keeps_masks_elsewhere(tmp_path):
    images, seg = small_case()
    words = {"t1": "T1", "t1ce": "T1GD", "t2": "T2", "flair": "FLAIR"}
    for number, place, token in (
        (1, "images_segm", "segm"),
        (2, "automated_segm", "automated_approx_segm"),
    ):
        name = f"UPENN-GBM-{number:05d}_11"
        for k, word in words.items():
            write_volume(
                tmp_path / "images_structural" / name / f"{name}_{word}.nii.gz",
                images[k],
            )
        write_volume(tmp_path / place / f"{name}_{token}.nii.gz", seg)
    auto = (
        tmp_path / "automated_segm" / "UPENN-GBM-00001_11_automated_approx_segm.nii.gz"
    )
    write_volume(auto, seg)
    first, second = find_cases(tmp_path)
    assert first.patient == "UPENN-GBM-00001" and first.grade == "HGG"
    assert first.paths["seg"].parent.name == "images_segm"  # the corrected one
    assert second.paths["seg"].parent.name == "automated_segm"


def test_msd_has_one_file_and_labels_of_its_own(tmp_path):
    images, seg = small_case()
    stack = np.stack([images[k] for k in ("flair", "t1", "t1ce", "t2")], axis=-1)
    swapped = np.choose(seg, [0, 2, 1, 0, 3]).astype(np.uint8)
    for root in (tmp_path, tmp_path / "Task01_BrainTumour"):
        write_volume(root / "imagesTr" / "BRATS_001.nii.gz", stack)
        write_volume(root / "labelsTr" / "BRATS_001.nii.gz", swapped)
        (case,) = find_cases(root)
        assert case.release == "MSD Task01" and case.grade is None
        volumes = case.load()
        np.testing.assert_array_equal(volumes["seg"], seg[::-1, ::-1])
        for name, array in images.items():
            np.testing.assert_array_equal(volumes[name], array[::-1, ::-1])
        shutil.rmtree(root / "imagesTr")
        shutil.rmtree(root / "labelsTr")


def test_cheng_files_are_matlab_7_3(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 3000, (40, 40)).astype(np.int16)
    mask = np.zeros((40, 40), np.uint8)
    mask[5:12, 20:30] = 1
    for number, label in ((1, 2), (2, 1)):
        with h5py.File(tmp_path / f"{number}.mat", "w") as file:
            data = file.create_group("cjdata")
            # MATLAB stores arrays with the axes reversed.
            data["image"], data["tumorMask"] = image.T, mask.T
            data["label"] = np.array([[label]], float)
            data["PID"] = np.array([[ord(c)] for c in "100360"], np.uint16)
    first, second = find_cases(tmp_path)
    assert (first.label, second.label) == ("glioma", "meningioma")
    assert first.patient == second.patient == "100360" and first.grade is None
    volumes = first.load()
    # On screen: rows from front to back, columns from right to left.
    shown = volumes["t1ce"][::-1, ::-1, 0].T
    np.testing.assert_array_equal(shown, image)
    np.testing.assert_array_equal(volumes["seg"][::-1, ::-1, 0].T > 0, mask > 0)


def write_tcga(root: Path, copied=False, patient="TCGA_CS_9999", grade="1"):
    folder = root / f"{patient}_20000101"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(1, 12):
        page = rng.integers(1, 200, (32, 30, 3), dtype=np.uint8)
        page[:4] = page[-4:] = 0
        if copied:
            page[..., 0] = page[..., 1]
        mask = np.zeros((32, 30), np.uint8)
        if number in (9, 10):
            mask[8:14, 20:26] = 255
        stem = folder / f"{folder.name}_{number}"
        Image.fromarray(page).save(f"{stem}.tif")
        Image.fromarray(mask).save(f"{stem}_mask.tif")
    row = f"{patient},{grade}"
    (root / "data.csv").write_text(f"Patient,neoplasm_histologic_grade\n{row}\n")
    return folder


def test_tcga_lgg_slices_in_numeric_order_and_copies_left_out(tmp_path):
    folder = write_tcga(tmp_path, copied=True)
    cases = find_cases(tmp_path)
    (case,) = cases
    assert (case.grade, case.who_grade, case.site) == ("LGG", 2, "CS")
    assert case.patient == "TCGA-CS-9999"
    assert set(case.sequences) == {"flair", "t1ce"}
    assert cases.report()["kind"].tolist() == ["copied sequence"]
    seg = case.load()["seg"]
    assert np.flatnonzero(seg.any(axis=(0, 1))).tolist() == [8, 9]  # not after "1"
    page = np.asarray(Image.open(folder / f"{folder.name}_10.tif"))
    np.testing.assert_array_equal(case.load()["flair"][::-1, ::-1, 9].T, page[..., 1])
    with pytest.raises(KeyError, match="has no 't1'"):
        case.load(["t1"])


def test_tcga_lgg_without_a_grade_in_the_table_has_none(tmp_path):
    write_tcga(tmp_path, grade="")
    (case,) = find_cases(tmp_path)
    assert case.grade is None and case.who_grade is None


def test_kaggle_brats_2020_with_its_misnamed_mask_and_mapping(tmp_path):
    folder = write_case(tmp_path, "BraTS 2020")
    path = folder / "BraTS20_Training_007_seg.nii"
    path.rename(folder / "W39_1998.09.19_Segm.nii")
    (folder.parent / "name_mapping.csv").write_text(
        "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,"
        "BraTS_2019_subject_ID,BraTS_2020_subject_ID\n"
        "HGG,Brats17_TCIA_1_1,Brats18_TCIA01_1_1,TCGA-02-0001,BraTS19_TCIA01_1_1,"
        "BraTS20_Training_007\n"
        "LGG,NA,NA,NA,NA,BraTS20_Training_008\n"
    )
    cases = find_cases(tmp_path)
    (case,) = cases
    assert cases.report().empty
    assert case.paths["seg"].name == "W39_1998.09.19_Segm.nii"
    assert (case.grade, case.site) == ("HGG", "TCIA01")
    assert case.patient == "TCGA-02-0001"


def test_a_brain_mask_is_not_taken_for_the_tumor(tmp_path):
    folder = write_case(tmp_path, "UCSF-PDGM")
    tumor = folder / "UCSF-PDGM-0004_tumor_segmentation.nii.gz"
    tumor.rename(folder / "UCSF-PDGM-0004_brain_segmentation.nii.gz")
    cases = find_cases(tmp_path)
    assert not cases and cases.report()["kind"].tolist() == ["missing mask"]


def test_ucsf_grades_come_from_its_table_in_spite_of_other_digits(tmp_path):
    write_case(tmp_path, "UCSF-PDGM")
    (tmp_path / "UCSF-PDGM-metadata_v2.csv").write_text(
        "ID,Sex,WHO CNS Grade,BraTS21 ID\n"
        "UCSF-PDGM-004,M,3,\nUCSF-PDGM-005,F,4,BraTS2021_00012\n"
    )
    write_case(tmp_path, "BraTS 2021", *small_case(1))
    linked, ucsf = find_cases(tmp_path)
    assert (ucsf.grade, ucsf.who_grade) == ("LGG", 3)
    assert (linked.grade, linked.patient) == ("HGG", "UCSF-PDGM-0005")
    assert ucsf.patient == "UCSF-PDGM-0004"  # as where there is no table


def test_conflicting_grades_are_not_chosen_between(tmp_path):
    write_case(tmp_path, "BraTS 2018")
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2018_subject_ID\nHGG,Brats18_TCIA10_639_1\n"
    )
    cases = find_cases(tmp_path)
    assert cases[0].grade is None
    assert cases.report()["kind"].tolist() == ["grade conflict"]


def test_a_users_folder_name_is_no_grade(tmp_path):
    root = tmp_path / "my-lgg-project" / "data"
    write_case(root, "BraTS 2021")
    write_case(root, "BraTS 2020")
    assert [c.grade for c in find_cases(root)] == [None, None]


def test_duplicate_patients_across_releases(tmp_path):
    write_case(tmp_path, "BraTS 2018")
    write_case(tmp_path, "BraTS 2020", *small_case(1))
    assert duplicates(find_cases(tmp_path)).empty
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2018_subject_ID,BraTS_2019_subject_ID,BraTS_2020_subject_ID\n"
        "LGG,Brats18_TCIA10_639_1,BraTS19_TCIA10_639_1,BraTS20_Training_007\n"
    )
    twice = duplicates(find_cases(tmp_path))
    assert list(twice.columns) == ["BraTS 2018", "BraTS 2020"]
    assert twice.iloc[0].tolist() == ["Brats18_TCIA10_639_1", "BraTS20_Training_007"]


def damage(folder: Path, how: str) -> None:
    images, seg = small_case()
    name = "Brats18_TCIA10_639_1_{}.nii.gz"
    if how == "missing sequence":
        (folder / name.format("t2")).unlink()
    elif how == "missing mask":
        (folder / name.format("seg")).unlink()
    elif how == "wrong shape":
        write_volume(folder / name.format("seg"), seg[:-2])
    elif how == "unreadable file":
        path = folder / name.format("flair")
        path.write_bytes(path.read_bytes()[:-600])
    elif how == "unknown labels":
        write_volume(folder / name.format("seg"), np.where(seg == 4, 9, seg))
    elif how == "empty mask":
        write_volume(folder / name.format("seg"), np.zeros_like(seg))
    elif how == "NaN":
        bad = images["t1"].astype(np.float32)
        bad[5, 5, 5] = np.nan
        write_volume(folder / name.format("t1"), bad)


TROUBLES = [
    "missing sequence",
    "missing mask",
    "wrong shape",
    "unreadable file",
    "unknown labels",
    "empty mask",
    "NaN",
]


@pytest.mark.parametrize("how", TROUBLES)
def test_a_bad_case_is_told_and_the_sound_one_loads(tmp_path, how):
    damage(write_case(tmp_path, "BraTS 2018"), how)
    write_case(tmp_path, "BraTS 2019")
    cases = find_cases(tmp_path)
    assert [c.id for c in cases] == ["BraTS19_CBICA_AAB_1"]
    report = cases.report()
    assert report["kind"].tolist() == [how] and report["dropped"].all()
    assert report["case"].tolist() == ["Brats18_TCIA10_639_1"]
    assert "Brats18_TCIA10_639_1" in report["detail"][0]
    summary = cases.summary().set_index("release")
    assert summary.loc["BraTS 2018", "dropped"] == 1
    assert summary.loc["BraTS 2018", "why"] == f"{how}: 1"
    assert summary.loc["BraTS 2019", ["sound", "dropped"]].tolist() == [1, 0]


@pytest.mark.parametrize("cut", [0, 3, 200])
def test_truncated_mask_and_empty_files(tmp_path, cut):
    folder = write_case(tmp_path, "BraTS 2018")
    path = folder / "Brats18_TCIA10_639_1_seg.nii.gz"
    path.write_bytes(path.read_bytes()[:cut])
    cases = find_cases(tmp_path)
    assert not cases and cases.report()["kind"][0] == "unreadable file"


def test_a_cut_uncompressed_file_and_a_text_file(tmp_path):
    folder = write_case(tmp_path, "BraTS 2020")
    path = folder / "BraTS20_Training_007_t1.nii"
    path.write_bytes(path.read_bytes()[:-10])
    (folder / "BraTS20_Training_007_t2.nii").write_text("moved to the new server")
    cases = find_cases(tmp_path)
    assert not cases and len(cases.report()) == 2


def test_damage_inside_a_file_is_found_when_read_thoroughly(tmp_path):
    images, seg = small_case(shape=(64, 64, 48))  # more than one read takes in
    folder = write_case(tmp_path, "BraTS 2018", images, seg)
    path = folder / "Brats18_TCIA10_639_1_t1.nii.gz"
    raw = bytearray(path.read_bytes())
    raw[-8] ^= 0xFF  # the checksum: header and size are right
    path.write_bytes(raw)
    assert len(find_cases(tmp_path)) == 1
    cases = find_cases(tmp_path, thorough=True)
    assert not cases and cases.report()["kind"][0] == "unreadable file"


def test_files_of_several_gzip_members_are_whole(tmp_path):
    folder = write_case(tmp_path, "BraTS 2018")
    path = folder / "Brats18_TCIA10_639_1_t1.nii.gz"
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]))
    (case,) = find_cases(tmp_path)
    np.testing.assert_array_equal(case.load()["t1"], small_case()[0]["t1"][::-1, ::-1])


def test_colliding_ids_are_told(tmp_path):
    folder = write_case(tmp_path, "BraTS 2018")
    other = tmp_path / "copy" / "HGG" / folder.name
    shutil.copytree(folder, other)
    write_case(tmp_path, "BraTS 2019", *small_case(1))
    same = find_cases(tmp_path)
    assert len(same) == 2 and same.report()["kind"].tolist() == ["copied case"]
    write_volume(other / f"{folder.name}_t1.nii.gz", small_case(7)[0]["t1"])
    cases = find_cases(tmp_path)
    assert len(cases) == 1
    (detail,) = cases.report()["detail"]
    assert "copy" in detail and "rename" in detail


def test_a_mask_without_its_header_is_not_mirrored_in_silence(tmp_path):
    images, seg = small_case()
    for array in images.values():
        array[:, :8] = array[:, 13:] = 0  # off the middle: a turn shows
    folder = write_case(tmp_path, "BraTS 2018", images, seg * (images["t1"] > 0))
    path = folder / f"{folder.name}_seg.nii.gz"
    write_volume(path, seg * (images["t1"] > 0), np.eye(4))
    cases = find_cases(tmp_path)
    assert not cases and cases.report()["kind"].tolist() == ["mask turned"]
    # Other axes with an honest header are fine.
    write_volume(path, (seg * (images["t1"] > 0))[::-1, ::-1], np.eye(4))
    (case,) = find_cases(tmp_path)
    np.testing.assert_array_equal(
        case.load()["seg"] > 0, (seg * (images["t1"] > 0))[::-1, ::-1] > 0
    )


def test_no_release_is_a_clear_error(tmp_path):
    with pytest.raises(ValueError, match="no case of a known release"):
        find_cases(tmp_path)
    (tmp_path / "brain.nii.gz").write_bytes(b"x")
    with pytest.raises(ValueError, match="unpack archives"):
        find_cases(tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file"):
        find_cases(tmp_path / "brain.nii.gz")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_cases(tmp_path / "nowhere")


def test_validation_cases_without_masks_can_be_asked_for(tmp_path):
    damage(write_case(tmp_path, "BraTS 2018"), "missing mask")
    (case,) = find_cases(tmp_path, require=("t1", "t2", "flair"))
    assert "seg" not in case.load()


def test_orientation_and_spacing_agree_with_torchio(tmp_path):
    """Any orientation on disk, one in memory; resampling by torchio."""
    import torchio as tio

    folder = write_case(tmp_path, "BraTS 2018")
    images, seg = small_case()
    affine = np.array([[0, 0, 2.0, 5], [-1.0, 0, 0, 3], [0, 1.5, 0, -4], [0, 0, 0, 1]])
    for name, array in {**images, "seg": seg}.items():
        write_volume(folder / f"{folder.name}_{name}.nii.gz", array, affine)
    (case,) = find_cases(tmp_path)
    volumes = case.load()
    want = tio.ToCanonical()(tio.ScalarImage(case.paths["t1"]))
    want.set_data(want.data.float())
    np.testing.assert_array_equal(volumes["t1"], want.numpy()[0])
    np.testing.assert_allclose(volumes.affine, want.affine)
    coarse = case.load(spacing=2.0)
    again = tio.Resample(2.0)(want)
    np.testing.assert_allclose(coarse["t1"], again.numpy()[0])
    np.testing.assert_allclose(coarse.spacing, 2)
    assert set(np.unique(coarse["seg"])) <= {0, 1, 2, 4}


def test_ids_are_compared_without_leading_zeros():
    assert key("UCSF-PDGM-0004") == key("ucsf-pdgm-004") != key("UCSF-PDGM-040")


def test_the_table_names_a_patient_as_finding_does_without_it(tmp_path):
    """Otherwise cases found one by one would share a patient unseen."""
    write_case(tmp_path / "a", "BraTS 2018")
    write_case(tmp_path / "b", "BraTS 2020")
    (tmp_path / "b" / "name_mapping.csv").write_text(
        "Grade,BraTS_2018_subject_ID,BraTS_2019_subject_ID,BraTS_2020_subject_ID\n"
        "LGG,Brats18_TCIA10_639_1,BraTS19_TCIA10_639_1,BraTS20_Training_007\n"
    )
    both = [*find_cases(tmp_path / "a"), *find_cases(tmp_path / "b")]
    assert [c.patient for c in both] == ["TCIA10_639", "TCIA10_639"]
    assert len(duplicates(both)) == 1


def test_tables_by_their_folder_with_semicolons_and_broken_ones(tmp_path):
    write_case(tmp_path / "in", "BraTS 2020")
    kept = tmp_path / "kept"
    kept.mkdir()
    head = "Grade;BraTS_2020_subject_ID\r\n"
    (kept / "a.csv").write_bytes(
        b"\xef\xbb\xbf" + (head + "HGG;BraTS20_Training_007\r\n").encode()
    )
    assert find_cases(tmp_path / "in", tables=[kept])[0].grade == "HGG"
    assert find_cases(tmp_path / "in")[0].grade is None
    (kept / "b.csv").write_text('Grade,BraTS_2020_subject_ID\nHGG\n"unclosed,')
    (kept / "c.csv").write_bytes(b"PK\3\4\xff\xfe")  # no table at all
    cases = find_cases(tmp_path / "in", tables=[kept])
    assert cases[0].grade == "HGG"
    assert cases.report()["kind"].tolist() == ["unreadable table"]
    assert not cases.report()["dropped"].any()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_cases(tmp_path / "in", tables=[tmp_path / "no.csv"])


def test_one_case_of_brats_tcga_has_the_grade_of_its_collection(tmp_path):
    folder = write_case(tmp_path, "BraTS-TCGA")
    assert find_cases(folder)[0].grade == "HGG"
    moved = tmp_path / "my GBM and LGG" / "LGG copies"
    moved.mkdir(parents=True)
    folder.rename(moved / folder.name)
    assert find_cases(moved / folder.name)[0].grade is None


def test_axes_and_spacing_are_checked_without_reading_the_images(tmp_path):
    images, seg = small_case()
    folder = write_case(tmp_path, "BraTS 2018", images, seg[..., None])
    (case,) = find_cases(tmp_path)  # an axis of time, of one entry, is none
    assert case.load()["seg"].shape == seg.shape
    path = folder / f"{folder.name}_t2.nii.gz"
    write_volume(path, images["t2"], np.diag([-1.0, -1, 2, 1]))
    assert find_cases(tmp_path).report()["kind"].tolist() == ["wrong spacing"]
    write_volume(path, np.stack([images["t2"]] * 3, axis=-1))
    assert find_cases(tmp_path).report()["kind"].tolist() == ["unreadable file"]
    write_volume(path, images["t2"] * 0)
    cases = find_cases(tmp_path, thorough=True)
    assert cases.report()["kind"].tolist() == ["empty sequence"]


def test_msd_files_are_read_once_and_need_four_channels(tmp_path, monkeypatch):
    from lrpbook_lib.data.cases import readers

    images, seg = small_case()
    stack = np.stack([images[k] for k in ("flair", "t1", "t1ce", "t2")], axis=-1)
    for number, channels in ((1, 4), (2, 3)):
        name = f"BRATS_{number:03d}.nii.gz"
        write_volume(tmp_path / "imagesTr" / name, stack[..., :channels])
        write_volume(tmp_path / "labelsTr" / name, np.minimum(seg, 3))
    for part in ("imagesTr", "labelsTr"):  # the published archive holds such files
        (tmp_path / part / "._BRATS_001.nii.gz").write_bytes(b"\0\5\x16\7")
    cases = find_cases(tmp_path)
    assert [c.id for c in cases] == ["BRATS_001"]
    assert set(cases.report()["case"]) == {"BRATS_002"}
    read, seen = readers.read_nifti, []
    monkeypatch.setattr(readers, "read_nifti", lambda p: seen.append(p) or read(p))
    cases[0].load()
    assert len(seen) == 2  # the images and the mask


def test_cases_without_a_grade_are_counted(tmp_path):
    write_case(tmp_path, "BraTS 2018")
    write_case(tmp_path, "BraTS 2020", *small_case(1))
    summary = find_cases(tmp_path).summary().set_index("release")
    assert summary["ungraded"].to_dict() == {"BraTS 2018": 0, "BraTS 2020": 1}
    (tmp_path / "name_mapping.csv").write_text(
        "Grade,BraTS_2019_subject_ID,BraTS_2020_subject_ID\n"
        "HGG,NA,BraTS20_Training_007\n"
    )
    assert not find_cases(tmp_path).summary()["ungraded"].any()


def test_a_mask_without_images_is_told_once(tmp_path):
    folder = write_case(tmp_path, "BraTS 2018")
    for path in folder.iterdir():
        if "seg" not in path.name:
            path.unlink()
    write_case(tmp_path, "BraTS 2019")
    cases = find_cases(tmp_path)
    assert [c.release for c in cases] == ["BraTS 2019"]
    assert cases.report()["kind"].tolist() == ["mask without images"]


@pytest.mark.parametrize("name", ["1-001.dcm", "IM000001"])
def test_dicom_is_told_and_the_rest_is_read(tmp_path, name):
    series = tmp_path / "patient 7" / "series 3"
    series.mkdir(parents=True)
    (series / name).write_bytes(bytes(128) + b"DICM" + bytes(64))
    (series / "LICENSE").write_text("no image")
    with pytest.raises(ValueError, match=r"holds DICOM files: convert .* dcm2niix"):
        find_cases(tmp_path)
    write_case(tmp_path, "BraTS 2018")
    cases = find_cases(tmp_path)
    assert len(cases) == 1
    (problem,) = cases.problems
    assert problem.kind == "DICOM" and "1 DICOM" in problem.detail
    assert cases.summary().set_index("release").loc["DICOM", "dropped"] == 1


def test_dicom_named_as_nifti_is_told(tmp_path):
    folder = write_case(tmp_path, "BraTS 2020")
    (folder / "BraTS20_Training_007_t1.nii").write_bytes(
        bytes(128) + b"DICM" + bytes(400)
    )
    assert "DICOM" in find_cases(tmp_path).report()["detail"][0]


def resaved(how: str, source: Path, target: Path) -> None:
    """The same volume in another file."""
    import nibabel as nib

    image = nib.load(source)
    data = np.asarray(image.dataobj)
    if how == "packed otherwise":
        target.write_bytes(gzip.compress(gzip.decompress(source.read_bytes()), 1))
    elif how == "other header":
        made = nib.Nifti1Image(data.astype(np.float32), image.affine)
        made.header["descrip"] = b"exported by another program"
        nib.save(made, target)
    elif how == "other axes":
        nib.save(nib.Nifti1Image(data[::-1, ::-1], np.eye(4)), target)
    else:
        shutil.copy(source, target)


@pytest.mark.parametrize(
    "how", ["copied", "packed otherwise", "other header", "other axes"]
)
def test_a_patient_under_two_names_is_one_patient(tmp_path, how):
    folder = write_case(tmp_path, "BraTS 2018")
    name = "Brats18_TCIA10_700_1"
    other = folder.parent / name
    other.mkdir()
    for path in folder.iterdir():
        resaved(how, path, other / path.name.replace(folder.name, name))
    write_case(tmp_path, "BraTS 2019", *small_case(1))  # alike in its mask alone
    cases = find_cases(tmp_path)
    patients = {c.id: c.patient for c in cases}
    assert patients[name] == patients[folder.name] == "TCIA10_639"
    assert patients["BraTS19_CBICA_AAB_1"] == "CBICA_AAB"
    (problem,) = cases.problems
    assert problem.kind == "patient twice" and not problem.dropped
    assert folder.name in problem.detail


def test_the_same_images_with_another_mask_are_one_patient(tmp_path):
    folder = write_case(tmp_path, "BraTS 2018")
    images, seg = small_case()
    seg[5:7, 6:9, 4] = 4  # corrected by another hand
    write_case(tmp_path, "BraTS 2019", images, seg)
    assert len({c.patient for c in find_cases(tmp_path)}) == 1
    assert folder.name in find_cases(tmp_path).report()["detail"][0]


def test_real_brats_2018(real):
    cases = find_cases(real("brats18"))
    assert len(cases) == 6 and cases.report().empty
    assert [c.grade for c in cases].count("LGG") == 2
    assert {c.site for c in cases} == {"TCIA01", "TCIA02", "TCIA03", "TCIA10"}
    # The tables beside the folder name the patients.
    assert all(c.patient.startswith("TCGA-") for c in cases)
    volumes = cases[0].load(["t1"])
    assert volumes["t1"].shape == (240, 240, 155)
    assert set(np.unique(volumes["seg"])) == {0, 1, 2, 4}
    # Front is up: the frontal sinus side of the head is narrower than the back.
    assert volumes["brain"].sum() > 1e6


def test_real_tcga_lgg(real):
    cases = find_cases(real("tcga_lgg/kaggle_3m"))
    assert [c.who_grade for c in cases] == [3, 3, 2, 3, 2, 2]
    assert all(c.grade == "LGG" and c.release == "TCGA-LGG" for c in cases)
    seg = cases[0].load(["flair"])["seg"]
    assert set(np.unique(seg)) == {0, 5}


def test_real_tables_link_every_brats_patient(real):
    tables = sorted(real("tables").glob("*.csv"))
    records, broken = read_records(tables, NAME_MAPPINGS)
    assert not broken
    linked = records[key("BraTS20_Training_273")]
    assert [r.facts for r in linked] == [{"grade": "LGG"}] * len(linked)
    assert linked[0].patient == "TCGA-CS-5393" and linked[0].site == "TCIA09"
    assert records[key("TCGA-CS-5393")][0].patient == "TCGA-CS-5393"
    # A validation case has no grade in its table, and gets none.
    assert not any(r.facts for r in records[key("BraTS20_Validation_001")])


def test_another_layout_is_one_reader(tmp_path):
    """Heads in BIDS, e.g.: one image, no mask, and a class from a table of its own."""

    def participants(table):
        for row in table.to_dict("records"):
            facts = {"group": row["group"], "age": int(row["age"])}
            yield row["participant_id"], Record(facts=facts)

    heads = Reader(
        "Heads",
        r"/(?P<case>sub-\d+_ses-\d+)_(?P<token>T1w)" + NII,
        channels=("t1",),
        needs=("t1",),
        patient=r"(sub-\d+)",
        label="group",
        classes=("healthy", "dementia"),
        stripped=False,
        tables=(Table(("participant_id", "group"), participants),),
    )
    for number, visit in ((1, 1), (1, 2), (2, 1), (3, 1)):
        image = small_case(10 * number + visit)[0]["t1"]
        case = f"sub-{number:02d}_ses-{visit}"
        folder = tmp_path / f"sub-{number:02d}" / f"ses-{visit}" / "anat"
        write_volume(folder / f"{case}_T1w.nii.gz", image)
    rows = ["participant_id\tage\tgroup", "sub-01\t70\thealthy", "sub-02\t81\tdementia"]
    (tmp_path / "participants.tsv").write_text("\n".join(rows) + "\n")
    cases = find_cases(tmp_path, releases=[heads])
    assert [c.label for c in cases] == ["healthy", "healthy", "dementia", None]
    assert [c.patient for c in cases] == ["sub-01", "sub-01", "sub-02", "sub-03"]
    assert cases[2].facts == {"group": "dementia", "age": 81}
    assert cases[0].grade is None and set(cases[0].load()) == {"t1", "brain"}
    table = cases.table()
    assert list(table) == ["id", "patient", "site", "group", "age", "release"]
    assert table["age"].dropna().tolist() == [70, 70, 81]
    assert cases.summary()["ungraded"].tolist() == [1]
    with pytest.raises(ValueError, match=r"no case of a known release.*BraTS 2018"):
        find_cases(tmp_path)
