"""The phantom against physics, anatomy and its own promises."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from statistics import NormalDist

import nibabel as nib
import numpy as np
import pytest

from book_tools.cards import data_card
from lrpbook_lib.data import (
    PhantomSettings,
    cached_phantom,
    extract_slices,
    find_cases,
    make_phantom,
    plan_cohort,
    read_manifest,
    site_predicts_grade,
    twin_facts,
)
from lrpbook_lib.data.phantom import anatomy, contrast, folder as phantom_module
from lrpbook_lib.data.phantom.glioma import Traits, class_separation
from lrpbook_lib.data.phantom.patient import (
    Plan,
    draw_patient,
    random_source,
    scanner_of,
)


def fingerprint(root):
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name[0] != ".")
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
    }


def volumes(case):
    names = ("t1", "t1ce", "t2", "flair", "seg")
    return {n: nib.load(case / f"{case.name}_{n}.nii.gz") for n in names}


def test_layout_is_that_of_brats(phantom):
    cases = sorted(phantom.glob("[HL]GG/Phantom_*"))
    assert len(cases) == 14
    for case in cases:
        _, site, number, visit = case.name.split("_")
        assert site in "ABCDEFG" and len(number) == 3 and visit == "1"
        images = volumes(case)
        for name, image in images.items():
            assert nib.aff2axcodes(image.affine) == ("L", "P", "S")
            np.testing.assert_allclose(image.header.get_zooms(), 4)
            assert image.shape == (60, 60, 39)
            # The middle of the field of view of BraTS: (-119.5, 119.5) in x and y.
            middle = image.affine @ [29.5, 29.5, 0, 1]
            np.testing.assert_allclose(middle[:2], [-118, 118])
            assert image.get_data_dtype() == ("uint8" if name == "seg" else "int16")
        seg = np.asarray(images["seg"].dataobj)
        assert set(np.unique(seg)) <= {0, 1, 2, 4} and seg.any()
        inside = [np.asarray(images[n].dataobj) > 0 for n in ("t1", "t2", "flair")]
        assert (inside[0] == inside[1]).all() and (inside[0] == inside[2]).all()
        assert not (seg[~inside[0]]).any()
        # A brain measures 0.9 to 1.9 liters.
        assert 0.9 < inside[0].sum() * 64 / 1e6 < 2.1


def test_signal_equations_follow_bloch():
    """Integrate dM/dt between the pulses and compare with the closed forms."""
    tissue = contrast.Tissue(0.8, 1.1, 0.09)
    tr, te, ti, agent = 0.6, 0.02, 0.8, 0.15
    t1 = 1 / (1 / tissue.t1 + contrast.RELAXIVITY * agent)

    def relax(start, t1, duration, steps=20000):
        m, dt = start, duration / steps
        for _ in range(steps):
            m += dt * (tissue.density - m) / t1
        return m

    m = relax(0.0, t1, tr)
    want = m * np.exp(-te / tissue.t2)
    assert contrast.spin_echo(tissue, tr, te, agent) == pytest.approx(want, rel=1e-3)
    m = relax(-relax(0.0, tissue.t1, 4.0 - ti), tissue.t1, ti)
    want = abs(m) * np.exp(-te / tissue.t2)
    got = contrast.inversion_recovery(tissue, 4.0, ti, te)
    # The closed form lets the recovery run through the inversion time as well.
    assert got == pytest.approx(want, rel=0.02)


def test_sequences_show_what_they_show_in_patients():
    """White over gray over fluid in T1; the reverse in T2; no fluid in FLAIR."""
    one, none = np.ones((1, 1, 1), "f4"), np.zeros((1, 1, 1), "f4")
    timing = contrast.Sequences()
    look = {
        name: contrast.image_sequences({name: one}, none, timing)[:, 0, 0, 0]
        for name in contrast.TISSUES
    }
    t1, t2, flair = ({n: v[i] for n, v in look.items()} for i in (0, 2, 3))
    assert t1["white"] > 1.1 * t1["gray"] > 1.1 * t1["fluid"]
    assert t2["fluid"] > t2["edema"] > 1.2 * t2["gray"] > 1.2 * t2["white"]
    assert flair["edema"] > 1.3 * flair["gray"] > 3 * flair["fluid"]
    lit = contrast.image_sequences({"enhancing": one}, none + 0.25, timing)
    assert lit[1] > 1.4 * lit[0] and lit[2] == pytest.approx(look["enhancing"][2])


def test_tumor_regions_look_like_their_labels(phantom):
    """In the written images, against the patient's own healthy brain."""
    rim, edema, whole = [], [], []
    for case in sorted(phantom.glob("[HL]GG/Phantom_*")):
        v = {n: np.asarray(i.dataobj).astype(float) for n, i in volumes(case).items()}
        brain = (v["t1"] > 0) & (v["seg"] == 0)
        unit = {n: v[n] / np.median(v[n][brain]) for n in ("t1", "t1ce", "t2", "flair")}
        if (v["seg"] == 4).sum() > 20:
            at = v["seg"] == 4
            rim.append(unit["t1ce"][at].mean() - unit["t1"][at].mean())
        if (v["seg"] == 2).sum() > 20:
            edema.append(unit["flair"][v["seg"] == 2].mean())
        whole.append(unit["t2"][v["seg"] > 0].mean())
    assert len(rim) >= 3 and min(rim) > 0.1 and np.median(rim) > 0.3
    assert np.median(edema) > 1.25 and np.median(whole) > 1.25


def test_edema_follows_white_matter():
    plan = Plan("Phantom_A_000_1", 0, "HGG", "A")
    knobs = PhantomSettings(difficulty=0.2, site_strength=0.0, spacing=4.0)
    shares = []
    for index in range(4):
        settings = replace(plan, index=index)
        points, _ = anatomy.grid(4.0)
        patient = draw_patient(settings, knobs)
        # Rebuild the anatomy without the tumor from the same stream.
        person = random_source(0, 0, index, 0)
        pose = anatomy.Pose.draw(person, 0.0)
        where = anatomy.place_head(person, pose, points, 4.0)
        _, white, _, brain = anatomy.sample_tissue(
            anatomy.load_atlas(4.0), where, pose.ventricles
        )
        x, y, z = white.shape
        lead = [(n - m) // 2 for n, m in zip((60, 60, 39), white.shape, strict=True)]
        box = tuple(slice(a, a + n) for a, n in zip(lead, (x, y, z), strict=True))
        edema = patient.labels[::-1, ::-1][box] == 2
        near = edema.any()
        assert near
        shares.append(white[edema].mean() - white[brain > 0.5].mean())
    assert np.mean(shares) > 0.15


def test_atlas_tissue_fractions_are_fractions():
    atlas = anatomy.load_atlas(4.0)
    points, full = anatomy.grid(4.0)
    gray, white, fluid, brain = anatomy.sample_tissue(atlas, points, 0.0)
    np.testing.assert_allclose(gray + white + fluid, brain, atol=1e-5)
    assert min(gray.min(), white.min(), fluid.min()) >= -1e-6 and full == (60, 60, 39)
    liters = gray.sum() * 64 / 1e6, white.sum() * 64 / 1e6
    assert 0.6 < liters[0] < 1.1 and 0.4 < liters[1] < 0.8


def test_smooth_field_is_standard_normal_and_smooth():
    rng = np.random.default_rng(0)
    fields = [anatomy.smooth_field(rng, (30, 32, 34), 2.0, 12.0) for _ in range(30)]
    assert np.std(fields) == pytest.approx(1, abs=0.1)
    steps = np.diff(fields, axis=1)
    assert np.std(steps) < 0.35  # 2 mm steps of a 12 mm field


def test_bytes_do_not_depend_on_workers_and_cohorts_nest(tmp_path):
    knobs = {"seed": 5, "spacing": 6.0}
    make_phantom(tmp_path / "one", patients=3, workers=1, **knobs)
    make_phantom(tmp_path / "two", patients=3, workers=2, **knobs)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
    make_phantom(tmp_path / "more", patients=4, workers=1, **knobs)
    more = fingerprint(tmp_path / "more")
    part = {k: v for k, v in fingerprint(tmp_path / "one").items() if "GG" in k}
    assert part.items() <= more.items()
    make_phantom(tmp_path / "other", patients=3, workers=1, **{**knobs, "seed": 6})
    other = fingerprint(tmp_path / "other")
    assert not set(part.values()) & set(other.values())


def test_killed_run_resumes_to_the_same_bytes(tmp_path):
    script = (
        "from lrpbook_lib.data import make_phantom\n"
        f"make_phantom({str(tmp_path / 'killed')!r}, 6, 1, spacing=5.0, workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "killed").glob("?GG/Phantom_*"))) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    visible = sorted((tmp_path / "killed").glob("?GG/Phantom_*"))
    assert 2 <= len(visible) < 6
    for case in visible:
        assert len(list(case.iterdir())) == 6  # five volumes and the truth
        assert np.asarray(volumes(case)["seg"].dataobj).any()
    before = {p: p.stat().st_mtime_ns for c in visible for p in c.iterdir()}
    make_phantom(tmp_path / "killed", 6, 1, spacing=5.0, workers=1)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    make_phantom(tmp_path / "clean", 6, 1, spacing=5.0, workers=1)
    assert fingerprint(tmp_path / "killed") == fingerprint(tmp_path / "clean")
    assert not list((tmp_path / "killed").rglob(".*"))


def test_finished_cohort_is_left_alone_and_other_knobs_refused(phantom):
    before = fingerprint(phantom)
    start = time.perf_counter()
    make_phantom(phantom, patients=14, seed=3, spacing=4.0)
    assert time.perf_counter() - start < 0.5
    assert fingerprint(phantom) == before
    with pytest.raises(FileExistsError, match=r"difficulty=0\.5 \(not 0\.9\)"):
        make_phantom(phantom, patients=14, seed=3, spacing=4.0, difficulty=0.9)
    assert fingerprint(phantom) == before


def test_a_lost_case_is_made_again(tmp_path):
    root = make_phantom(tmp_path / "p", patients=2, spacing=6.0, workers=1)
    before = fingerprint(root)
    case = next(root.glob("?GG/Phantom_*"))
    for file in case.iterdir():
        file.unlink()
    case.rmdir()
    make_phantom(root, patients=2, spacing=6.0, workers=1)
    assert fingerprint(root) == before


def test_folder_in_use_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"thesis\.txt"):
        make_phantom(tmp_path, patients=1)
    assert [p.name for p in tmp_path.iterdir() if p.name[0] != "."] == ["thesis.txt"]


def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    written = []
    honest = phantom_module.write_nifti

    def full(path, volume, affine):
        if len(written) == 8:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        honest(path, volume, affine)

    monkeypatch.setattr(phantom_module, "write_nifti", full)
    with pytest.raises(OSError, match="disk is full") as error:
        make_phantom(tmp_path / "p", patients=3, spacing=6.0, workers=1)
    assert error.value.errno == errno.ENOSPC
    cases = list((tmp_path / "p").glob("?GG/*"))
    assert len(cases) == 1 and len(list(cases[0].iterdir())) == 6
    assert not list((tmp_path / "p").rglob(".*"))
    monkeypatch.undo()
    monkeypatch.setenv("TQDM_DISABLE", "1")
    make_phantom(tmp_path / "p", patients=3, spacing=6.0, workers=1)
    assert read_manifest(tmp_path / "p")["complete"]


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("patients", 0),
        ("difficulty", 1.5),
        ("confounding", -0.1),
        ("site_strength", 9),
        ("spacing", 0.1),
        ("seed", -1),
        ("extra_mixed", -1),
        ("twins", -1),
    ],
)
def test_senseless_knobs_are_named(knob, value):
    with pytest.raises(ValueError, match=knob):
        PhantomSettings(**{knob: value})


def test_names_of_cohorts_older_than_a_knob_hold(phantom, tmp_path):
    """Hundreds of patients need not be made anew."""
    assert cached_phantom(1, 1, spacing=6.0).name == "phantom-e4f9f8af2c934351"
    assert not {"extra_mixed", "twins"} & set(read_manifest(phantom)["settings"])
    with pytest.raises(FileExistsError, match=r"twins=0 \(not 3\)"):
        make_phantom(phantom, patients=14, seed=3, spacing=4.0, twins=3)
    make_phantom(tmp_path / "more", 1, spacing=6.0, extra_mixed=1, workers=1)
    with pytest.raises(FileExistsError, match=r"extra_mixed=1 \(not 0\)"):
        make_phantom(tmp_path / "more", 1, spacing=6.0, workers=1)


def test_further_patients_are_the_same_whatever_the_cohort():
    alone = plan_cohort(PhantomSettings(patients=20))
    plans = plan_cohort(PhantomSettings(patients=20, extra_mixed=40))
    assert plans[:20] == alone
    more = plan_cohort(PhantomSettings(patients=50, extra_mixed=60))
    extra = plans[20:]
    assert extra == more[50:90]
    kinds = [(p.grade, p.site) for p in extra]
    assert all(kinds.count((g, s)) == 10 for g in ("HGG", "LGG") for s in "FG")
    assert len({p.case for p in more}) == 110
    with pytest.raises(ValueError, match="there may be 5000"):
        PhantomSettings(patients=6000, extra_mixed=1)


def site_auc(**knobs):
    plans = plan_cohort(PhantomSettings(patients=400, **knobs))
    return site_predicts_grade([p.site for p in plans], [p.grade for p in plans])


def test_site_predicts_grade_as_in_brats_and_not_without_confounding():
    confounded = site_auc(confounding=1.0)
    assert 0.97 < confounded["auc"] <= 1.0
    assert 0.38 < site_auc(confounding=0.0)["auc"] < 0.62
    assert 0.6 < site_auc(confounding=0.5)["auc"] < 0.95


def test_small_cohorts_hold_both_grades_and_a_mixed_site():
    for seed in range(5):
        plans = plan_cohort(PhantomSettings(patients=12, seed=seed))
        assert {p.grade for p in plans} == {"HGG", "LGG"}
        assert any(p.site in "FG" for p in plans)


def test_site_strength_zero_makes_all_scanners_one():
    same = {scanner_of(0, s, 0.0) for s in "ABCDEFG"}
    assert len(same) == 1 and same.pop().timing == contrast.Sequences()
    assert len({scanner_of(0, s, 1.0) for s in "ABCDEFG"}) == 7
    assert scanner_of(0, "A", 1.0) == scanner_of(0, "A", 1.0)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 0.8, 1.0])
def test_difficulty_sets_the_overlap_that_theory_says(difficulty):
    rng = np.random.default_rng(1)
    z = {
        g: [Traits.draw(rng, g, difficulty).malignancy for _ in range(1500)]
        for g in ("HGG", "LGG")
    }
    correct = (np.mean(np.array(z["HGG"]) > 0) + np.mean(np.array(z["LGG"]) < 0)) / 2
    ideal = NormalDist().cdf(class_separation(difficulty))
    assert correct == pytest.approx(ideal, abs=0.02)


def test_grade_changes_what_it_changes_in_patients():
    rng = np.random.default_rng(2)
    draws = {g: [Traits.draw(rng, g, 0.5) for _ in range(300)] for g in ("HGG", "LGG")}

    def median(grade, trait):
        return np.median([getattr(t, trait) for t in draws[grade]])

    for trait in ("necrosis", "agent", "edema", "irregularity", "mass_effect"):
        assert median("HGG", trait) > 1.2 * median("LGG", trait), trait
        low = [getattr(t, trait) for t in draws["LGG"]]
        high = [getattr(t, trait) for t in draws["HGG"]]
        assert max(low) > np.quantile(high, 0.3)  # honest overlap
    assert median("HGG", "softness") < median("LGG", "softness")


def test_ventricle_confounder_widens_ventricles_and_is_off_by_default():
    assert PhantomSettings().ventricle_confounding == 0
    plan = Plan("Phantom_A_000_1", 0, "HGG", "A")

    def fluid(shift):
        points, _ = anatomy.grid(3.0)
        rng = random_source(0, 0, plan.index, 0)
        pose = anatomy.Pose.draw(rng, shift)
        where = anatomy.place_head(rng, pose, points, 3.0)
        maps = anatomy.sample_tissue(anatomy.load_atlas(3.0), where, pose.ventricles)
        x, y, z = points
        middle = (np.abs(x) < 35) & (y > -60) & (y < 30) & (z > 0) & (z < 35)
        return (maps[2] * middle).sum() * 27 / 1000

    narrow, wide = fluid(-1.0), fluid(4.0)
    assert wide > narrow + 8  # milliliters


def test_card_says_what_it_is_and_every_knob(phantom):
    manifest = read_manifest(phantom)
    card = data_card(manifest)
    assert "synthetic" in card.lower() and "cannot teach" in card.lower()
    assert manifest["hash"] in card
    for knob, value in manifest["settings"].items():
        assert knob in card and f"{value:g}" in card
    assert "clinical" in card


def test_manifest_tells_the_truth_of_each_case(phantom):
    manifest = read_manifest(phantom)
    assert manifest["complete"] and len(manifest["cases"]) == 14
    for name, case in manifest["cases"].items():
        folder = phantom / case["grade"] / name
        seg = np.asarray(volumes(folder)["seg"].dataobj)
        edema = (seg == 2).sum() * 64 / 1000
        assert case["volume_ml"]["edema"] == pytest.approx(edema, abs=0.01)
        assert f"_{case['site']}_" in name


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Two people, fourteen times each."""
    root = tmp_path_factory.mktemp("twins") / "cohort"
    return make_phantom(root, seed=3, spacing=5.0, twins=2, workers=1)


def test_twins_are_all_grades_at_all_sites_and_known_by_name(twins):
    slices = extract_slices(find_cases(twins), ("t1", "t2"), size=32)
    facts = twin_facts(slices)
    names = np.array(slices.classes)
    assert (facts["grade"] == names[slices.labels]).all()
    assert (facts["site"] == slices.site).all()
    every = facts.drop_duplicates()
    assert len(every) == 2 * 2 * 7 == len(set(slices.patient))
    assert set(every.groupby(["person", "grade"]).size()) == {7}
    assert "instead of the patients" in data_card(read_manifest(twins))


def test_twin_facts_of_others_are_an_error(phantom):
    slices = extract_slices(find_cases(phantom)[:1], ("t1",), size=32)
    with pytest.raises(ValueError, match=r"Phantom_\w+ is no twin"):
        twin_facts(slices)


def case_of(root, person, grade, site):
    found = volumes(root / grade / f"Phantom_{site}_{person}{grade[0]}_1")
    return {n: np.asarray(v.dataobj).astype(float) for n, v in found.items()}


def test_twins_differ_in_what_was_switched_and_in_nothing_else(twins):
    at = {s: case_of(twins, 9000, "HGG", s) for s in "AD"}
    truth = read_manifest(twins)["cases"]
    for name in ("t1", "t1ce", "t2", "flair"):
        assert not np.array_equal(at["A"][name], at["D"][name])
        assert ((at["A"][name] > 0) == (at["D"][name] > 0)).all()  # one head
    assert np.array_equal(at["A"]["seg"], at["D"]["seg"])
    high, low = (truth[f"Phantom_A_9000{g}_1"] for g in "HL")
    assert high["pose"] == low["pose"]
    assert high["center_mni_mm"] == low["center_mni_mm"]
    gap = high["traits"]["malignancy"] - low["traits"]["malignancy"]
    assert gap == pytest.approx(2 * class_separation(0.5), abs=1e-3)
    assert high["pose"] != truth["Phantom_A_9001H_1"]["pose"]


def test_far_from_the_tumor_the_other_grade_has_the_same_brain(twins):
    plans = {p.case: p for p in plan_cohort(PhantomSettings(seed=3, twins=2))}
    # Of a scanner that adds nothing of its own, what is left is the person.
    knobs = PhantomSettings(seed=3, spacing=5.0, twins=2, ventricle_confounding=4.0)
    two = [draw_patient(plans[f"Phantom_A_9000{g}_1"], knobs) for g in "HL"]
    tumor = (two[0].labels > 0) | (two[1].labels > 0)
    where = np.argwhere(tumor)
    away = np.indices(tumor.shape)
    near = (
        np.sqrt(sum((away[i] - where[:, i].mean()) ** 2 for i in range(3)))
        < np.ptp(where, 0).max() / 2 + 50 / 5.0
    )
    brain = (two[0].images[0] > 0) & (two[1].images[0] > 0)
    far = brain & ~near
    assert far.mean() > 0.02
    a, b = (p.images[0][far].astype(float) for p in two)
    ratio = a / b
    # A tumor changes what is bright, by which all intensities are divided.
    assert np.abs(ratio / np.median(ratio) - 1).max() < 0.02
    inside = brain & (tumor > 0)
    changed = two[0].images[0][inside] / two[1].images[0][inside] / np.median(ratio)
    assert np.abs(changed - 1).mean() > 0.02


def test_twins_stay_who_they_are_in_any_cohort():
    few, many = (
        plan_cohort(PhantomSettings(patients=n, twins=t, extra_mixed=e))
        for n, t, e in ((20, 2, 0), (50, 3, 10))
    )
    assert few == many[:28] and len(many) == 42
    # However they are asked for, they are made once.
    asked = {"patients": 9, "extra_mixed": 5, "confounding": 0.0, "lgg_fraction": 1.0}
    settled = PhantomSettings(twins=3, difficulty=0.7, **asked).settled()
    assert settled == PhantomSettings(twins=3, difficulty=0.7)
    assert PhantomSettings(**asked).settled() == PhantomSettings(**asked)
    others = plan_cohort(PhantomSettings(patients=50, extra_mixed=10))
    assert not {p.index for p in many} & {p.index for p in others}
