"""From cases to slices: recipes, orientation, normalization, cache, splits."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lrpbook_lib import files as files_module
from lrpbook_lib.data import (
    Augment,
    Augmented,
    SliceRecipe,
    SliceSet,
    check_disjoint,
    extract_slices,
    find_cases,
    mixed_sites,
    patient_folds,
    patient_split,
    site_holdout,
)
from lrpbook_lib.data.slices.choosing import choose_slices
from tests.data.conftest import small_case, write_volume


@pytest.fixture(scope="module")
def cases(phantom):
    return find_cases(phantom)


@pytest.fixture(scope="module")
def slices(cases, tmp_path_factory):
    return extract_slices(cases, cache=tmp_path_factory.mktemp("set"), workers=1)


def brats_case(root, case="Brats18_2013_1_1", seed=0, grade="HGG", **change):
    images, seg = small_case(seed, **change)
    for name, array in {**images, "seg": seg}.items():
        write_volume(root / grade / case / f"{case}_{name}.nii.gz", array)
    return root / grade / case


def test_set_holds_what_it_says(slices, cases):
    n = len(slices)
    assert slices.images.shape == (n, 3, 60, 60) and slices.images.dtype == np.float32
    assert slices.tumor.shape == slices.brain.shape == (n, 60, 60)
    assert slices.brain.dtype == bool and set(np.unique(slices.tumor)) <= {0, 1, 2, 4}
    assert slices.sequences == ("t1", "t2", "flair")
    grade = {c.id: c.grade for c in cases}
    site = {c.id: c.site for c in cases}
    want = [slices.classes.index(grade[c]) for c in slices.case]
    np.testing.assert_array_equal(slices.labels, want)
    assert [site[c] for c in slices.case] == slices.site.tolist()
    assert (slices.tumor > 0).any(axis=(1, 2)).all()
    assert not slices.images[
        np.broadcast_to(~slices.brain[:, None], slices.images.shape)
    ].any()
    assert slices.images.min() >= 0 and slices.images.max() == 1
    assert isinstance(slices.images, np.memmap)


def test_slices_are_the_radiological_view_of_the_volumes(slices, cases):
    """Against the files themselves: LPS arrays, transposed, are the view."""
    import nibabel as nib

    case = cases[3]
    seg = np.asarray(nib.load(case.paths["seg"]).dataobj)
    mine = slices.subset(slices.case == case.id)
    for z, tumor in zip(mine.z, mine.tumor, strict=True):
        np.testing.assert_array_equal(tumor, seg[:, :, z].T)


def test_paper_recipe_is_centered_on_the_largest_tumor():
    seg = np.zeros((10, 10, 40), np.uint8)
    for z in range(8, 33):
        side = 9 - abs(z - 20) // 3
        seg[:side, :side, z] = 2
    brain = np.ones_like(seg, bool)
    recipe = SliceRecipe(min_tumor=1)

    def chosen(grade, spacing=(1.0, 1.0, 1.0), r=recipe):
        return choose_slices(r, seg, brain, grade, spacing).tolist()

    first = int(np.count_nonzero(seg, axis=(0, 1)).argmax())
    assert chosen("HGG") == [first + k for k in (-6, -3, 0, 3, 6)]
    assert chosen(None) == chosen("HGG")
    assert chosen("LGG") == list(range(first - 7, first + 8))
    # A gap is a distance: half as many slices in between where they are thick.
    assert chosen("HGG", (1.0, 1.0, 3.0)) == [first + k for k in (-2, -1, 0, 1, 2)]
    assert chosen("LGG", r=SliceRecipe(choose="tumor", min_tumor=1)) == list(
        range(8, 33)
    )
    everything = chosen("LGG", r=SliceRecipe(choose="all", min_tumor=1, min_brain=1))
    assert everything == list(range(40))


def test_as_many_healthy_slices_as_slices_with_tumor():
    seg = np.zeros((4, 4, 40), np.uint8)
    seg[:2, :2, 10:20] = 1
    seg[0, 2, 14] = 1
    brain = np.ones_like(seg, bool)
    brain[..., :4] = False  # too little brain there
    recipe = SliceRecipe("both", 3, 3, 2.0, 3.0, min_tumor=1, min_brain=1)
    largest = [12, 14, 16]
    for grade, healthy in (
        ("HGG", [6, 8, 20]),
        (None, [6, 8, 20]),
        ("LGG", [5, 8, 20]),
    ):
        got = choose_slices(recipe, seg, brain, grade, (1.0, 1.0, 1.0)).tolist()
        tumor = largest if grade != "LGG" else [11, 14, 17]
        assert got == sorted([*tumor, *healthy])
    brain[..., 20:] = False  # a single healthy slice is left at this gap
    brain[..., 4:8] = False
    got = choose_slices(recipe, seg, brain, "HGG", (1.0, 1.0, 1.0)).tolist()
    assert got == [8, *largest]


def test_normalizations_against_their_definitions(tmp_path):
    brats_case(tmp_path / "d")
    images, _ = small_case()
    t1 = images["t1"][::-1, ::-1].astype(float)
    values = t1[t1 > 0]
    found = find_cases(tmp_path / "d")
    low, high = np.percentile(values, [1, 99])
    want = {
        "percentile": np.clip((t1 - low) / (high - low), 0, 1),
        "zscore": np.clip((t1 - values.mean()) / values.std(), -5, 5),
        "max": t1 / values.max(),
    }
    for how, scaled in want.items():
        got = extract_slices(
            found, ("t1",), normalization=how, cache=tmp_path / "c", workers=1
        )
        reference = np.where(t1 > 0, scaled, 0)[::-1, ::-1, got.z].transpose(2, 1, 0)
        np.testing.assert_allclose(got.images[:, 0], reference, atol=1e-5)


def test_healthy_slices_are_a_class_of_their_own(cases, tmp_path):
    got = extract_slices(cases[:3], recipe="healthy", cache=tmp_path, workers=1)
    assert got.classes == ("LGG", "HGG", "healthy")
    bare = ~(got.tumor > 0).any(axis=(1, 2))
    np.testing.assert_array_equal(got.labels == 2, bare)
    assert bare.sum() > 5
    both = SliceRecipe("both", hgg_slices=2, lgg_slices=2)
    some = extract_slices(cases[:3], recipe=both, cache=tmp_path, workers=1)
    assert some.classes == got.classes
    for case in np.unique(some.case):
        mine = some.labels[some.case == case] == 2
        assert mine.sum() == (~mine).sum() > 0


def test_size_keeps_proportions_and_labels(tmp_path):
    brats_case(tmp_path / "d")
    found = find_cases(tmp_path / "d")
    whole = extract_slices(found, cache=tmp_path / "c", workers=1)
    assert whole.images.shape[2:] == (24, 20)
    square = extract_slices(found, size=48, cache=tmp_path / "c", workers=1)
    assert square.images.shape[2:] == (48, 48)
    # 24 x 20 padded to 24 x 24, then doubled: every pixel four times.
    want = np.pad(whole.tumor, [(0, 0), (0, 0), (2, 2)]).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(square.tumor, want)
    half = extract_slices(found, size=12, cache=tmp_path / "c", workers=1)
    assert set(np.unique(half.tumor)) <= {0, 1, 2, 4}


def test_the_same_call_opens_the_cache_and_a_change_does_not(tmp_path, monkeypatch):
    folder = brats_case(tmp_path / "d")
    found = find_cases(tmp_path / "d")
    cache = tmp_path / "c"
    first = extract_slices(found, cache=cache, workers=1)
    made = {p.name for p in cache.glob("slices-*")}
    again = extract_slices(found, cache=cache, workers=1)
    assert again.store.folder == first.store.folder
    assert {p.name for p in cache.glob("slices-*")} == made
    # Cached by content: a touched file is the same file, a changed one is not.
    path = folder / f"{folder.name}_t1.nii.gz"
    os.utime(path, ns=(1, 1))
    extract_slices(found, cache=cache, workers=1)
    assert {p.name for p in cache.glob("slices-*")} == made
    write_volume(path, small_case(9)[0]["t1"])
    extract_slices(found, cache=cache, workers=1)
    assert len({p.name for p in cache.glob("slices-*")}) == 2
    extract_slices(found, cache=cache, recipe="tumor", workers=1)
    assert len({p.name for p in cache.glob("slices-*")}) == 3


def test_workers_do_not_change_the_slices(cases, slices, tmp_path):
    two = extract_slices(cases, cache=tmp_path, workers=2)
    np.testing.assert_array_equal(two.images, slices.images)
    assert two.case.tolist() == slices.case.tolist()


def test_full_disk_keeps_finished_cases_and_resumes(tmp_path, monkeypatch):
    for k in range(3):
        brats_case(tmp_path / "d", f"Brats18_2013_{k}_1", seed=k)
    found = find_cases(tmp_path / "d")
    cache, honest, calls = tmp_path / "c", np.savez, []

    def full(stream, **arrays):
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        calls.append(1)
        honest(stream, **arrays)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="disk is full"):
        extract_slices(found, cache=cache, workers=1)
    assert not list(cache.glob("slices-*")) and not list(cache.rglob("*.part"))
    assert len(list(cache.rglob("*.npz"))) == 2
    monkeypatch.setattr(np, "savez", honest)
    got = extract_slices(found, cache=cache, workers=1)
    assert len(set(got.case)) == 3
    assert sorted(p.name[:6] for p in cache.iterdir()) == ["digest", "slices"]


def test_a_case_that_breaks_while_reading_is_left_out_with_a_warning(tmp_path):
    brats_case(tmp_path / "d", "Brats18_2013_1_1")
    bad = brats_case(tmp_path / "d", "Brats18_2013_2_1", seed=1, shape=(64, 64, 48))
    path = bad / f"{bad.name}_t1.nii.gz"
    raw = bytearray(path.read_bytes())
    raw[-8] ^= 0xFF  # the checksum
    path.write_bytes(raw)
    found = find_cases(tmp_path / "d")
    assert len(found) == 2
    with pytest.warns(UserWarning, match=r"1 of 2 cases were left out.*2013_2_1"):
        got = extract_slices(found, cache=tmp_path / "c", workers=1)
    assert set(got.case) == {"Brats18_2013_1_1"}
    assert got.report()["kind"].tolist() == ["unreadable file"]


def test_wrong_calls_say_the_way_out(cases, tmp_path):
    with pytest.raises(ValueError, match="find_cases"):
        extract_slices([])
    with pytest.raises(ValueError, match="recipe"):
        extract_slices(cases, recipe="best")
    with pytest.raises(ValueError, match="normalization"):
        extract_slices(cases, normalization="magic")
    with pytest.raises(ValueError, match="lack one of"):
        extract_slices(cases, ("t1", "adc"))
    for size in (0, -8, 12.5, (64,), (64, 0)):
        with pytest.raises(ValueError, match="size"):
            extract_slices(cases, size=size)
    for spacing in (0, -1.0):
        with pytest.raises(ValueError, match="spacing"):
            extract_slices(cases, spacing=spacing)
    for sequences in (("t1", "t1"), ("t1", "seg")):
        with pytest.raises(ValueError, match="sequences"):
            extract_slices(cases, sequences)
    with pytest.raises(ValueError, match="occurs twice"):
        extract_slices([*cases, cases[0]])
    brats_case(tmp_path / "d")
    mixed = [*find_cases(tmp_path / "d"), cases[0]]
    with pytest.raises(ValueError, match="size"):
        extract_slices(mixed, cache=tmp_path / "c", workers=1)
    got = extract_slices(mixed, size=32, spacing=4.0, cache=tmp_path / "c", workers=1)
    assert len(set(got.case)) == 2


def test_one_sequence_may_be_named_alone(cases, tmp_path):
    got = extract_slices(cases[:1], "t1ce", cache=tmp_path, workers=1)
    assert got.sequences == ("t1ce",) and got.images.shape[1] == 1


def test_a_channel_of_zeros_is_no_image(tmp_path):
    brats_case(tmp_path / "d")
    write_volume(next(tmp_path.rglob("*_t2.nii.gz")), np.zeros((20, 24, 12), "i2"))
    with pytest.raises(ValueError, match="zero everywhere"):
        extract_slices(find_cases(tmp_path / "d"), cache=tmp_path / "c", workers=1)


def test_unknown_grade_stays_unknown(tmp_path):
    images, seg = small_case()
    for name, array in {**images, "seg": seg}.items():
        write_volume(
            tmp_path / f"d/BraTS2021_00001/BraTS2021_00001_{name}.nii.gz", array
        )
    got = extract_slices(find_cases(tmp_path / "d"), cache=tmp_path / "c", workers=1)
    assert (got.labels == -1).all() and set(got.frame()["class"]) == {"unknown"}
    with pytest.raises(ValueError, match="no grade"):
        patient_folds(got)


def test_save_load_subset_and_items(slices, tmp_path):
    part = slices.subset(slices.labels == 1)
    assert set(part.labels) == {1} and len(part) == (slices.labels == 1).sum()
    some = part.subset([4, 0, -1])
    np.testing.assert_array_equal(some.images[0], part.images[4])
    loaded = SliceSet.load(some.save(tmp_path / "some"))
    for name in ("images", "tumor", "brain", "labels", "patient", "site", "z"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(some, name))
    assert loaded.sequences == slices.sequences and loaded.settings == slices.settings
    item = loaded[1]
    assert item["image"].shape == (3, 60, 60) and item["image"].dtype == torch.float32
    assert item["label"] == 1 and item["tumor"].dtype == torch.int64
    np.testing.assert_array_equal(item["tumor"], part.tumor[0])
    with pytest.raises(IndexError):
        loaded[3]
    with pytest.raises(IndexError):
        slices.subset([len(slices)])
    some.save(tmp_path / "some")  # again, over itself
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="no slice set"):
        some.save(tmp_path / "letters")
    with pytest.raises(FileNotFoundError, match=r"slices\.json"):
        SliceSet.load(tmp_path / "letters")


def test_images_of_the_file_are_safe_from_in_place_changes(slices):
    item = slices[0]["image"]
    item += 5
    assert slices.images[0].max() <= 1
    again = SliceSet.load(slices.store.folder)
    again.images[0] = 7
    assert SliceSet.load(slices.store.folder).images[0].max() <= 1


def test_pickles_cheaply_and_works_in_loader_workers(slices):
    slices.images.sum()  # whatever was looked at before
    wire = pickle.dumps(slices.subset(np.arange(20)))
    assert len(wire) < 20_000 < slices.images[:20].nbytes
    np.testing.assert_array_equal(pickle.loads(wire).images, slices.images[:20])
    loader = DataLoader(slices.subset(np.arange(12)), batch_size=4, num_workers=1)
    batches = list(loader)
    assert [b["image"].shape[0] for b in batches] == [4, 4, 4]
    together = torch.cat([b["image"] for b in batches])
    np.testing.assert_array_equal(together, slices.images[:12])


def test_sets_from_arrays(slices):
    made = SliceSet.from_arrays(
        slices.images[:6],
        slices.labels[:6],
        slices.tumor[:6],
        slices.brain[:6],
        slices.patient[:6],
        sequences=("t1", "t2", "flair"),
    )
    assert len(pickle.loads(pickle.dumps(made))) == 6
    with pytest.raises(ValueError, match="tumor has shape"):
        SliceSet.from_arrays(
            slices.images[:6],
            slices.labels[:6],
            slices.tumor[:5],
            slices.brain[:6],
            slices.patient[:6],
        )


def test_importing_the_data_package_is_cheap():
    """Neither torch nor torchio is imported before it is needed."""
    code = (
        "import sys, lrpbook_lib.data as d; d.find_cases; d.extract_slices; d.Case;"
        "print([m for m in ('torch', 'torchio', 'SimpleITK') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "[]", out.stdout + out.stderr


def test_folds_never_share_a_patient_and_balance_the_grades(slices):
    folds = patient_folds(slices, folds=4, seed=1)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested.tolist()) == list(range(len(slices)))
    for train, test in folds:
        assert not set(slices.patient[train]) & set(slices.patient[test])
        assert len(set(slices.labels[test])) == 2
    other = patient_folds(slices, folds=4, seed=2)
    assert any(
        (a[1].tolist() != b[1].tolist()) for a, b in zip(folds, other, strict=True)
    )
    with pytest.raises(ValueError, match="at most 5 folds"):
        patient_folds(slices, folds=9)


def test_patient_split_has_its_shares(slices):
    parts = patient_split(slices, (0.6, 0.2, 0.2), seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(slices)))
    groups = [set(slices.patient[p]) for p in parts]
    assert not groups[0] & groups[1] and not groups[0] & groups[2]
    assert all(len(set(slices.labels[p])) == 2 for p in parts)
    with pytest.raises(ValueError, match="sum to 1"):
        patient_split(slices, (0.5, 0.2))


def test_site_holdout_takes_mixed_sites(slices):
    assert mixed_sites(slices)
    train, test = site_holdout(slices)
    assert set(slices.site[test]) == set(mixed_sites(slices))
    assert not set(slices.site[train]) & set(slices.site[test])
    _, only_a = site_holdout(slices, "A")
    assert set(slices.site[only_a]) == {"A"}
    with pytest.raises(ValueError, match="not in the set"):
        site_holdout(slices, ["Z"])


def test_a_leaking_split_raises(slices):
    shuffled = np.random.default_rng(0).permutation(len(slices))
    half = len(slices) // 2
    with pytest.raises(ValueError, match="share"):
        check_disjoint(slices, shuffled[:half], shuffled[half:])
    # A patient examined at two sites cannot be on both sides.
    table = {**slices.table, "patient": np.full(len(slices), "the same")}
    twin = SliceSet(slices.store, table)
    with pytest.raises(ValueError, match="share 1 patients"):
        site_holdout(twin, "A")


def test_augmentation_moves_image_and_mask_alike(slices):
    sample = slices.subset(np.arange(8))
    image = torch.from_numpy(np.ascontiguousarray(sample.images))
    brain = torch.from_numpy(np.ascontiguousarray(sample.brain))
    tumor = torch.from_numpy(np.ascontiguousarray(sample.tumor)).long()
    # The mask itself as an image: the two must stay on top of each other.
    stack = torch.cat([image, (tumor > 0)[:, None].float()], 1)
    source = torch.Generator().manual_seed(3)
    moved, mask, inside = Augment(brightness=0)(stack, tumor, brain, source)
    assert set(mask.unique().tolist()) <= set(tumor.unique().tolist())
    assert mask.dtype == torch.int64 and inside.dtype == torch.bool
    assert not torch.equal(mask, tumor)
    sure = (moved[:, -1] > 0.99) | (moved[:, -1] < 0.01)
    agree = ((moved[:, -1] > 0.5) == (mask > 0))[sure & inside].float().mean()
    assert agree > 0.995
    ratio = (mask > 0).sum() / (tumor > 0).sum()
    assert 0.75 < ratio < 1.3  # no border grows


def test_augmentation_without_amplitude_changes_nothing(slices):
    image = torch.from_numpy(np.ascontiguousarray(slices.images[:3]))
    brain = torch.from_numpy(np.ascontiguousarray(slices.brain[:3]))
    tumor = torch.from_numpy(np.ascontiguousarray(slices.tumor[:3]))
    still = Augment(0, 0, 0, 0, 0)
    a, b, c = still(image, tumor, brain)
    torch.testing.assert_close(a, image, atol=2e-5, rtol=0)
    assert torch.equal(b, tumor) and torch.equal(c, brain)
    flipped, mask, _ = Augment(0, 0, 0, 1, 0)(image, tumor, brain)
    torch.testing.assert_close(flipped, image.flip(-1), atol=2e-5, rtol=0)
    assert torch.equal(mask, tumor.flip(-1))


def test_augmentation_is_the_same_for_any_number_of_workers(slices):
    seen = Augmented(slices.subset(np.arange(10)), Augment(), seed=4)

    def read(workers, epoch=0):
        seen.set_epoch(epoch)
        loader = DataLoader(seen, batch_size=5, num_workers=workers)
        return torch.cat([b["image"] for b in loader])

    here = read(0)
    torch.testing.assert_close(read(1), here, atol=1e-6, rtol=0)
    assert not torch.equal(read(0, epoch=1), here)


def test_claim_of_a_dead_process_is_taken_over(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host = files_module._own_name().rsplit("-", 2)[0]
    (tmp_path / ".claim").write_text(f"{host}-{dead.pid}-abcdef")
    left = tmp_path / f".case.{host}-{dead.pid}-abcdef.part"
    left.mkdir()
    mine = tmp_path / f".case.{host}-{os.getpid()}-abcdef.part"
    mine.mkdir()
    with files_module.only_one(tmp_path):
        files_module.remove_leftovers(tmp_path)
    assert not left.exists() and mine.exists()
    shutil.rmtree(mine)
    assert not list(tmp_path.iterdir())


def test_only_one_at_a_time_and_the_folder_may_go_meanwhile(tmp_path):
    folder, order = tmp_path / "work", []

    def second():
        with files_module.only_one(folder):
            order.append("second")

    with files_module.only_one(folder):
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.5)
        order.append("first")
    files_module.remove(folder)
    waiting.join(timeout=5)
    assert order == ["first", "second"]


def test_real_slices(real, tmp_path):
    found = find_cases(real("brats18"))
    got = extract_slices(found[-2:], cache=tmp_path, workers=2, size=96)
    assert got.images.shape[1:] == (3, 96, 96) and len(got) == 30
    assert set(got.labels) == {0} and set(got.site) == {"TCIA10"}
    shown = got.tumor > 0
    flair = got.images[:, 2]
    assert flair[shown].mean() > 1.2 * flair[got.brain & ~shown].mean()


def test_volumes_are_samples_and_move_with_their_masks(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((4, 2, 6, 16, 20), dtype=np.float32)
    brain = np.zeros((4, 6, 16, 20), bool)
    brain[:, 1:-1, 2:-2, 2:-2] = True
    tumor = np.zeros(brain.shape, np.uint8)
    tumor[:2, 2:4, 5:9, 4:10] = 1
    made = SliceSet.from_arrays(images, [0, 0, 1, 1], tumor, brain, list("abcd"))
    some = SliceSet.load(made.subset([3, 0]).save(tmp_path / "set"))
    assert some[1]["image"].shape == (2, 6, 16, 20) and "2 volumes" in repr(some)
    assert some.frame()["tumor_pixels"].tolist() == [0, 2 * 4 * 6]
    image, mask, inside = (torch.from_numpy(a) for a in (images, tumor, brain))
    flipped, turned, _ = Augment(0, 0, 0, 1, 0)(image, mask, inside)
    torch.testing.assert_close(flipped, (image * inside[:, None]).flip(-1))
    assert torch.equal(turned, mask.flip(-1))
    # In the plane alone: a slice that holds nothing of the mask stays so.
    _, turned, _ = Augment(degrees=45, scale=0, shift=0)(image, mask, inside)
    assert turned[:2, 2:4].any() and not turned[:, [0, 1, 4, 5]].any()
