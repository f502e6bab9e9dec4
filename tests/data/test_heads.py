"""Synthetic heads: causes and their knobs, known transforms, folders, volumes."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from lrpbook_lib.data import (
    REGIONS,
    HeadSettings,
    SliceSet,
    VolumeSettings,
    find_heads,
    head_volumes,
    make_heads,
    plan_people,
    read_truth,
    region_maps,
)
from lrpbook_lib.data.heads.folder import volumes_ml
from lrpbook_lib.data.heads.head import draw_head, fetched_from, grid
from lrpbook_lib.data.heads.reading import HeadReader, OasisMaps, group_of
from lrpbook_lib.data.heads.registration import native_points
from lrpbook_lib.data.heads.template import load_template
from lrpbook_lib.data.heads.volumes import back_to_image, volume_of
from lrpbook_lib.data.phantom import anatomy
from lrpbook_lib.places import data_home

COARSE = HeadSettings(people=8, seed=2, spacing=6.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Eight heads of 6 mm."""
    root = tmp_path_factory.mktemp("heads")
    return make_heads(root, people=8, seed=2, spacing=6.0, workers=1)


@pytest.fixture(autouse=True)
def quiet_and_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path / "cache"))


def test_brain_over_skull_is_as_hard_as_in_oasis():
    """By what a head is drawn from, in 2,000 people: see HeadSettings.global_effect."""
    people = plan_people(HeadSettings(people=2000))
    ill = np.array([p.group == "AD" for p in people])
    shrunk = np.array([p.shrinkage for p in people])
    age = np.array([p.age for p in people])
    assert 0.66 < roc_auc_score(ill, shrunk) < 0.76
    assert 0.6 < np.corrcoef(age[~ill], shrunk[~ill])[0, 1] < 0.8
    assert abs(age[ill].mean() - age[~ill].mean()) < 0.3
    assert 0.46 < roc_auc_score(ill, [p.size for p in people]) < 0.54


def test_knobs_change_their_own_cause_and_nothing_else():
    plain = plan_people(HeadSettings(people=6))
    changes = {
        "local_effect": {"ventricles", "hippocampus", "damage"},
        "global_effect": {"shrinkage"},
        "scalp_cue": {"scalp"},
    }
    for knob, moved in changes.items():
        other = plan_people(replace(HeadSettings(people=6), **{knob: 2.0}))
        for one, two in zip(plain, other, strict=True):
            differ = {k for k in vars(one) if getattr(one, k) != getattr(two, k)}
            # What is lost may have come to an end: no less than nothing is.
            assert differ <= moved and bool(differ) == (one.group == "AD")
    tied = plan_people(HeadSettings(people=40, site_cue=1.0))
    assert all(len({p.group for p in tied if p.site == s}) == 1 for s in "ABC")


def test_test_time_knobs_leave_the_anatomy_be():
    person = plan_people(COARSE)[1]
    plain = draw_head(person, COARSE)["native"]
    rough = draw_head(person, replace(COARSE, stripping_shift=4.0))["native"]
    assert (plain.t1 == rough.t1).all() and rough.brain.sum() > plain.brain.sum()
    far = draw_head(person, replace(COARSE, registration_error=5.0))["native"]
    assert (far.t1 == plain.t1).all() and (far.brain == plain.brain).all()


def test_volumes_follow_what_was_asked_for():
    healthy, ill = (
        volumes_ml(
            draw_head(replace(plan_people(COARSE)[0], **traits), COARSE)["native"], 6.0
        )
        for traits in (
            {"shrinkage": 1.0, "hippocampus": 0.0, "ventricles": 0.0},
            {"shrinkage": 5.0, "hippocampus": 0.5, "ventricles": 3.0},
        )
    )
    assert ill["brain_share"] < healthy["brain_share"] - 0.05
    assert ill["hippocampi_ml"] < 0.7 * healthy["hippocampi_ml"]
    assert ill["ventricles_ml"] > 1.2 * healthy["ventricles_ml"]
    # The skull stays what it was: the loss is inside of it.
    assert ill["head_ml"] == pytest.approx(healthy["head_ml"], rel=0.01)


def test_known_transforms_invert_the_making_of_a_head():
    """Without errors, and all undone, atlas coordinates come back to within a mm."""
    rng = np.random.default_rng(0)
    points, _ = grid(6.0)
    pose = replace(anatomy.Pose.draw(rng), wobble=2.5)
    placed = anatomy.place_head(rng, pose, points, 6.0)
    exact = replace(COARSE, registration_error=0.0, alignment=1.0)
    bent = placed - pose.into_atlas(points)
    where = native_points(rng, pose, points, bent, exact)
    start = points[:, 0, 0, 0][:, None, None, None]
    there = anatomy.sample(torch.from_numpy(placed), (where - start) / 6.0, "border")
    inner = (slice(None), *[slice(5, -5)] * 3)
    assert np.abs(there - points)[inner].max() < 1.0
    straight = native_points(rng, pose, points, np.zeros_like(points), exact)
    assert np.allclose(pose.into_atlas(straight), points, atol=1e-2)


def test_registration_makes_heads_alike():
    people = plan_people(COARSE)[:4]
    heads = [draw_head(p, COARSE, ("native", "linear", "nonlinear")) for p in people]
    overlap = {}
    for space in heads[0]:
        masks = np.stack([head[space].brain for head in heads])
        overlap[space] = masks.all(0).sum() / masks.any(0).sum()
    assert overlap["native"] < overlap["linear"] < overlap["nonlinear"]
    where = fetched_from(people[0], COARSE)
    native = torch.from_numpy(heads[0]["native"].brain.astype("f4"))[None]
    brain = anatomy.sample(native, where)[0] > 0.5
    template = load_template(6.0)
    points, _ = grid(6.0)
    origin = template.origin[:, None, None, None]
    hull = anatomy.sample(template.outside, (points - origin) / template.step)[0] < 0
    assert (brain & hull).sum() / (brain | hull).sum() > 0.9


def test_regions_agree_with_a_real_atlas():
    """AAL on Colin27, if it is here: most of each drawn region lies in or beside it."""
    home = data_home()
    if home is None or not (home / "heads" / "colin27_aal_1mm.nii.gz").exists():
        pytest.skip("AAL is not on this machine")
    image = nib.load(home / "heads" / "colin27_aal_1mm.nii.gz")
    label = np.asanyarray(image.dataobj)
    template = load_template(4.0)
    mine = template.regions.numpy()
    for name, numbers in (("hippocampi", (37, 38)), ("deep gray", range(71, 79))):
        at = np.argwhere(mine == REGIONS.index(name)) + template.brain.origin
        there = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), at))
        found = label[tuple(there.astype(int).T)]
        expected = np.isin(label, numbers).mean()
        assert np.isin(found, numbers).mean() > max(0.4, 20 * expected)


def test_a_cohort_on_disk_is_bids_and_resumes(cohort):
    about = json.loads((cohort / "dataset_description.json").read_text())
    assert "Synthetic" in about["Name"] and about["BIDSVersion"]
    truth = read_truth(cohort)
    assert list(truth["group"]) == ["CN", "AD"] * 4
    kept = cohort / "sub-0003" / "anat" / "sub-0003_T1w.nii.gz"
    before = kept.stat().st_mtime_ns
    assert make_heads(cohort, people=8, seed=2, spacing=6.0) == cohort
    assert kept.stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match=r"spacing=6.0 \(not 5.0\)"):
        make_heads(cohort, people=8, seed=2, spacing=5.0)


@pytest.mark.parametrize("space", ["native", "linear", "nonlinear"])
def test_heads_become_volumes(cohort, space, tmp_path):
    cases = find_heads(cohort, space)
    assert len(cases) == 8 and not cases.problems
    assert {c.label for c in cases} == {"CN", "AD"} and cases[0].site in "ABC"
    whole = head_volumes(cases, spacing=6.0, workers=1)
    alone = head_volumes(cases, spacing=6.0, normalization="brain", workers=1)
    assert whole.images.shape == (8, 1, *VolumeSettings(spacing=6.0).edges)
    assert list(whole.labels) == [0, 1] * 4
    assert (alone.images[:, 0][~alone.brain] == 0).all()
    inside = whole.brain
    assert np.allclose(alone.images[:, 0][inside], whole.images[:, 0][inside])
    # Out of core: arrays are mapped from files, and travel to workers as a folder.
    assert isinstance(SliceSet.load(whole.store.folder).images, np.memmap)
    # On one grid nothing is interpolated: the file's voxels, scaled.
    stored = cases[0].open()("t1")[0].astype("f4")
    shown = whole.images[0, 0]
    below = shown < 1.99
    unit = stored[below].sum() / shown[below].sum()
    assert np.allclose(shown[below] * unit, stored[below], rtol=1e-3, atol=1e-2)
    labels = region_maps(cases, VolumeSettings(spacing=6.0, centered=space == "native"))
    hippocampi = labels == REGIONS.index("hippocampi")
    assert ((whole.tumor == 1) == hippocampi).all() and hippocampi.any((1, 2, 3)).all()


def test_flipped_and_turned_files_give_the_same_volume(cohort, tmp_path):
    """However the voxels are stored, the head is seen the same."""
    case = find_heads(cohort)[0]
    settings = VolumeSettings(spacing=6.0)
    straight = volume_of(case, settings)["images"]
    for codes in ("LPS", "PIR"):
        paths = {}
        for name, path in case.paths.items():
            image = nib.load(path)
            turn = nib.orientations.ornt_transform(
                nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
            )
            paths[name] = tmp_path / f"{codes}_{path.name}"
            nib.save(image.as_reoriented(turn), paths[name])
        turned = volume_of(replace(case, paths=paths), settings)["images"]
        assert np.allclose(turned, straight, atol=1e-5)


def test_a_map_goes_back_to_the_image_it_came_from(cohort):
    case = find_heads(cohort)[0]
    image, affine = case.open()("t1")
    for spacing in (6.0, 9.0):
        settings = VolumeSettings(spacing=spacing)
        relevance = np.zeros(settings.edges, "f4")
        middle = tuple(n // 2 for n in settings.edges)
        relevance[middle] = 3.0
        laid = back_to_image(relevance, settings, affine, image.shape)
        assert laid.shape == image.shape and laid.sum() == pytest.approx(3.0, rel=1e-3)
        at = np.array(np.unravel_index(laid.argmax(), laid.shape))
        place = settings.affine()[:3, :3] @ (
            np.array(middle) - (np.array(settings.edges) - 1) / 2
        )
        assert np.abs((at - (np.array(image.shape) - 1) / 2) * 6.0 - place).max() <= 6.0


def bids(root, name, volume, affine=None, **entities):
    """A file of one's own BIDS folder."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([8.0, 8, 8, 1]) if affine is None else affine
    nib.save(nib.Nifti1Image(volume, affine), path)
    return path


def test_bad_input_is_a_line_each_and_others_go_on(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "mine"
    ball = np.zeros((20, 24, 22), "f4")
    ball[4:16, 4:20, 4:18] = 1
    brain = np.zeros_like(ball)
    brain[6:14, 6:18, 6:16] = 1

    def person(name, t1=None, mask=None, affine=None):
        head = ball * (100 + rng.random(ball.shape)).astype("f4") if t1 is None else t1
        bids(root, f"{name}/anat/{name}_T1w.nii.gz", head)
        if mask is not False:
            given = brain.astype("u1") if mask is None else mask
            file = f"derivatives/x/{name}/anat/{name}_desc-brain_mask.nii.gz"
            bids(root, file, given, affine)

    person("sub-good1")
    person("sub-good2")
    person("sub-nolabel")
    person("sub-nomask", mask=False)
    person("sub-empty", mask=np.zeros_like(brain, "u1"))
    person("sub-shape", mask=np.ones((20, 24, 20), "u1"))
    moved = np.diag([8.0, 8, 8, 1])
    moved[:3, 3] = 40
    person("sub-moved", affine=moved)
    person("sub-4d", t1=np.ones((20, 24, 22, 3), "f4"))
    hole = ball.copy()
    hole[5, 5, 5] = np.nan
    person("sub-nan", t1=hole)
    person("sub-zero", t1=np.zeros((20, 24, 22), "i2"))
    names = ["good1", "good2", "nomask", "empty", "shape", "moved", "4d", "nan", "zero"]
    lines = ["participant_id\tdiagnosis\tage"]
    lines += [
        f"sub-{n}\t{'AD' if i % 2 else 'Control'}\t7{i}" for i, n in enumerate(names)
    ]
    (root / "participants.tsv").write_text(
        "\n".join(lines) + "\nsub-nolabel\tMCI\t70\n"
    )

    cases = find_heads(root)
    told = {p.case: p for p in cases.problems}
    assert "participants.tsv" in told["sub-nolabel"].detail
    assert "differ" in told["sub-shape"].detail
    assert "affines differ" in told["sub-moved"].detail
    assert "where 1 volume(s) of three axes" in told["sub-4d"].detail
    assert "NaN" in told["sub-nan"].detail
    volumes = head_volumes(cases, spacing=8.0, workers=1)
    assert list(volumes.case) == ["sub-good1", "sub-good2"]
    first = next(case for case in cases if case.id == "sub-good1")
    assert (first.label, first.facts["age"]) == ("CN", "70")
    left = volumes.report().set_index("case")["detail"]
    assert "has no brain mask" in left["sub-nomask"]
    assert "desc-brain_mask.nii.gz" in left["sub-nomask"]
    assert "marks no brain" in left["sub-empty"]
    assert "zero everywhere" in left["sub-zero"]
    assert all("\n" not in p.detail for p in cases.problems)


def test_tables_tell_groups_in_the_words_of_others():
    assert group_of({"diagnosis": "Control"}) == "CN"
    assert group_of({"DX": "Dementia"}) == "AD"
    assert group_of({"CDR": "0"}) == "CN" and group_of({"CDR": "0.5"}) == "AD"
    assert group_of({"group": "MCI"}) is None and group_of({"CDR": ""}) is None
    assert group_of({"age": "70"}) is None


def test_names_of_derivatives_are_understood():
    linear, native = HeadReader(space="linear"), HeadReader()
    nonlinear = HeadReader(space="nonlinear")
    fmriprep = "_space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w"
    assert nonlinear.holds(fmriprep) == {"t1": 0} and not linear.holds(fmriprep)
    assert native.holds("_desc-preproc_T1w") == {"t1": 0}
    assert native.holds("_T1w") == {"t1": 1}
    assert linear.holds("_space-MNI152Lin_desc-brain_mask") == {"brain": 0}
    assert native.holds("_label-GM_probseg") == {"gray": 0}
    assert not native.holds("_desc-lesion_mask") and not native.holds("_dseg")


def test_oasis_maps_as_nilearn_keeps_them(tmp_path):
    root = tmp_path / "oasis1"
    gray = np.zeros((20, 24, 22), "f4")
    gray[5:15, 5:19, 5:17] = 0.7
    for number in (1, 2, 3):
        name = f"OAS1_{number:04d}_MR1"
        for kind in ("mwrc1", "mwrc2"):
            file = f"{name}/{kind}{name}_mpr_anon_fslswapdim_bet.nii.gz"
            bids(root, file, gray + number / 1000)
    table = "ID,M/F,Hand,Age,CDR\nOAS1_0001_MR1,F,R,74,0\nOAS1_0002_MR1,M,R,81,0.5\n"
    (root / "oasis_cross-sectional.csv").write_text(table + "OAS1_0003_MR1,F,R,20,\n")
    cases = find_heads(root, "nonlinear")
    assert [(c.patient, c.label) for c in cases] == [
        ("OAS1_0001", "CN"),
        ("OAS1_0002", "AD"),
    ]
    assert cases.problems[0].case == "OAS1_0003_MR1" and cases[0].facts["sex"] == "F"
    assert isinstance(cases[0].reader, OasisMaps)
    found = head_volumes(cases, channel="gray", spacing=8.0, workers=1)
    assert found.sequences == ("gray",) and 0.6 < found.images.max() < 0.8


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="local_effect=9"):
        HeadSettings(local_effect=9.0)
    with pytest.raises(ValueError, match="people=1"):
        HeadSettings(people=1)
    with pytest.raises(ValueError, match="space='mni'"):
        find_heads(".", "mni")
    with pytest.raises(ValueError, match="normalization='percentile'"):
        VolumeSettings(normalization="percentile")
