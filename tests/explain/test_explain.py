"""The command for people's own scans: geometry, numbers, re-runs, bad input."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lrpbook_lib.data import RECIPES, extract_slices, find_cases, own_case
from lrpbook_lib.data.slices.cutting import SliceSettings, back_to_volume, slices_of
from lrpbook_lib.explain import explain_all, explain_case
from lrpbook_lib.explain.__main__ import main
from lrpbook_lib.guidance import LRPLoss
from lrpbook_lib.lrp import Explainer
from lrpbook_lib.models import GliomaCNN, ModelSpec, SliceNet, register_network
from lrpbook_lib.training import (
    CheckpointError,
    KeepBest,
    Trainer,
    TrainSettings,
    read_model,
)
from lrpbook_lib.training.checkpoint import data_digest, read_tensors, write_tensors
from lrpbook_lib.training.plain import to_dict
from tests.data.conftest import small_case, write_volume

SEQUENCES = ("t1", "t2", "flair")


@pytest.fixture(autouse=True)
def quiet_and_apart(monkeypatch, tmp_path):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """An untrained network, as a trainer writes its weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    network = GliomaCNN(size=32)
    spec = ModelSpec(
        "GliomaCNN", {"size": 32}, SEQUENCES, ("LGG", "HGG"), (32, 32), "percentile"
    )
    weights = {f"model.{k}": v for k, v in network.state_dict().items()}
    write_tensors(path, weights, spec=to_dict(spec))
    return path


def write_own(folder: Path, seed=0, affine=None, **changed) -> dict[str, Path]:
    """Own files named by sequence; voxels of 5 mm unless an affine is given."""
    images, seg = small_case(seed, shape=(20, 26, 12))
    affine = np.diag([-5.0, -5, 5, 1]) if affine is None else affine
    paths = {}
    for name, array in {**images, "seg": seg, **changed}.items():
        paths[name] = folder / f"me_{name}.nii.gz"
        write_volume(paths[name], array, affine)
    return paths


def write_brats(root: Path, count: int) -> list[Path]:
    folders = []
    for k in range(count):
        name = f"Brats18_TCIA01_{100 + k}_1"
        folders.append(root / "HGG" / name)
        images, seg = small_case(k)
        for sequence, array in {**images, "seg": seg}.items():
            write_volume(folders[-1] / f"{name}_{sequence}.nii.gz", array)
    return folders


def of(paths: dict[str, Path]) -> dict[str, Path]:
    return {name: paths[name] for name in SEQUENCES}


def canonical(path: Path) -> np.ndarray:
    return nib.as_closest_canonical(nib.load(path)).get_fdata()


def test_each_pixel_is_shared_among_the_voxels_it_covers():
    maps = np.arange(1.0, 5).reshape(1, 2, 2)  # as on screen: left is the right side
    volume = back_to_volume(maps, np.array([1]), (4, 4, 3))
    assert volume[..., [0, 2]].sum() == 0
    front_right = volume[2:, 2:, 1]  # axes run to the right and to the front
    np.testing.assert_allclose(front_right, maps[0, 0, 0] / 4)
    np.testing.assert_allclose(volume[:2, :2, 1], maps[0, 1, 1] / 4)
    uneven = back_to_volume(np.ones((3, 7, 7)), np.arange(3), (19, 19, 3))
    assert uneven.shape == (19, 19, 3)


@pytest.mark.parametrize("shape", [(20, 26, 4), (26, 20, 4), (23, 23, 4)])
@pytest.mark.parametrize("size", [8, 13, 40])
def test_spreading_keeps_sums_and_inverts_cutting(shape, size):
    rng = np.random.default_rng(0)
    # Away from the margin that makes slices square, nothing of a map is lost.
    maps = np.zeros((4, size, size))
    middle = slice(size // 4, size - size // 4)
    maps[:, middle, middle] = rng.random((4, *[middle.stop - middle.start] * 2))
    volume = back_to_volume(maps, np.arange(4), shape)
    np.testing.assert_allclose(volume.sum((0, 1)), maps.sum((1, 2)), rtol=1e-6)


def test_a_mask_cut_and_laid_back_lies_on_itself(tmp_path):
    images, seg = small_case(shape=(40, 52, 12))
    seg[:] = 0
    seg[6:20, 30:44, 3:9] = 1  # off the middle in both axes
    paths = write_own(tmp_path, affine=np.diag([-1.0, -1, 1, 1]), **images, seg=seg)
    case = own_case(of(paths), paths["seg"])
    cut = slices_of(
        case, SliceSettings(SEQUENCES, RECIPES["tumor"], "percentile", (26, 26), None)
    )
    truth = case.load()["seg"] > 0
    # A pixel of one covers four voxels of a quarter each.
    laid = back_to_volume(cut["tumor"] > 0, cut["z"], truth.shape) > 0.125
    assert 2 * (laid & truth).sum() / (laid.sum() + truth.sum()) > 0.9


ORIENTATIONS = {
    "LPS": np.array([[-5.0, 0, 0, 90], [0, -5, 0, 120], [0, 0, 5, -70], [0, 0, 0, 1]]),
    "PSR": np.array([[0, 0, 5.0, 3], [-5, 0, 0, 7], [0, 5, 0, 1], [0, 0, 0, 1]]),
    "oblique": nib.affines.from_matvec(
        5 * nib.eulerangles.euler2mat(0.2, 0.1, 0.3), [-10, 5, 8]
    ),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_the_heatmap_has_exactly_the_geometry_of_the_image(tmp_path, checkpoint, name):
    model = read_model(checkpoint)
    plain = write_own(tmp_path / "ras", affine=np.diag([5.0, 5, 5, 1]))
    explain_all([own_case(of(plain), plain["seg"], "a")], model, tmp_path / "out")
    expected = canonical(tmp_path / "out/a/heatmap.nii.gz")

    # The same head, its voxels stored in another order.
    affine, arrays = ORIENTATIONS[name], {}
    turns = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.io_orientation(affine)
    )
    for key, path in plain.items():
        stored = nib.load(path).get_fdata().astype(np.int16)
        arrays[key] = nib.apply_orientation(stored, turns)
    other = write_own(tmp_path / "other", affine=affine, **arrays)
    for path in other.values():  # a header with things of its own
        image = nib.load(path)
        made = nib.Nifti1Image(np.asarray(image.dataobj), affine, image.header)
        made.set_qform(affine, 2)
        made.set_sform(affine, 4)
        made.header["descrip"] = b"patient name"
        made.header["cal_max"] = 700
        made.header.set_xyzt_units("mm", "sec")
        made.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"born 1970"))
        path.write_bytes(gzip.compress(made.to_bytes()))
    explain_all([own_case(of(other), other["seg"], "b")], model, tmp_path / "out")
    image, heat = (
        nib.load(p) for p in (other["t1"], tmp_path / "out/b/heatmap.nii.gz")
    )
    assert heat.shape == image.shape and heat.get_data_dtype() == np.float32
    np.testing.assert_array_equal(heat.affine, image.affine)
    for field in ("qform_code", "sform_code", "pixdim", "xyzt_units", "srow_x"):
        np.testing.assert_array_equal(heat.header[field], image.header[field])
    for field in ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "srow_z"):
        np.testing.assert_array_equal(heat.header[field], image.header[field])
    raw = heat.to_bytes()
    assert b"patient name" not in raw and b"born 1970" not in raw
    assert heat.header["cal_max"] == 0
    np.testing.assert_allclose(
        canonical(tmp_path / "out/b/heatmap.nii.gz"), expected, atol=1e-6
    )


def test_scores_agree_with_doing_it_by_hand(tmp_path, checkpoint):
    (folder,) = write_brats(tmp_path, 1)
    (case,) = find_cases(tmp_path)
    found = explain_case(case, read_model(checkpoint))
    # Starting from a negative logit, no relevance would be positive.
    likely = ("LGG", "HGG")[found.target]
    explain_all([case], read_model(checkpoint), tmp_path / "out", likely)
    facts = json.loads((tmp_path / "out" / folder.name / "score.json").read_text())

    slices = extract_slices([case], SEQUENCES, recipe="tumor", size=32)
    torch.manual_seed(0)
    network = GliomaCNN(size=32).eval()
    logits, relevance = Explainer(network)(
        torch.from_numpy(slices.images), found.target
    )
    p = logits.double().softmax(1).detach().numpy()
    heat = relevance.detach().double().sum(1).clamp(min=0).numpy()
    tumor, brain = slices.tumor > 0, slices.brain | (slices.tumor > 0)
    score = (heat * tumor).sum((1, 2)) / (heat * brain).sum((1, 2))
    chance = tumor.sum((1, 2)) / brain.sum((1, 2))
    rows = facts["by_slice"]
    assert [row["slice"] for row in rows] == slices.z.tolist()
    np.testing.assert_allclose([r["tumor_score"] for r in rows], score, atol=2e-5)
    np.testing.assert_allclose([r["chance"] for r in rows], chance, atol=2e-6)
    np.testing.assert_allclose(
        [r["probabilities"]["HGG"] for r in rows], p[:, 1], atol=2e-6
    )
    overall = facts["overall"]
    assert overall["tumor_score"] == pytest.approx(score.mean(), abs=2e-5)
    assert overall["predicted"] == ("LGG", "HGG")[p.mean(0).argmax()]
    assert facts["explained_class"] == likely and "clinical" in facts["note"]
    volume = nib.load(tmp_path / "out" / folder.name / "heatmap.nii.gz").get_fdata()
    assert volume.sum() == pytest.approx(float(relevance.detach().sum()), rel=1e-3)
    assert str(tmp_path) not in json.dumps(facts)


def test_without_a_mask_there_is_a_heatmap_and_no_score(tmp_path, checkpoint):
    paths = write_own(tmp_path)
    images = [f"--image={paths[s]}" for s in SEQUENCES]
    main([f"--model={checkpoint}", *images, f"--out={tmp_path / 'out'}"])
    (folder,) = (p for p in (tmp_path / "out").iterdir() if p.is_dir())
    overall = json.loads((folder / "score.json").read_text())["overall"]
    assert overall["tumor_score"] is None and overall["slices"] == 10
    assert {p.name for p in folder.iterdir()} == {
        "heatmap.nii.gz",
        "overlay.png",
        "score.json",
    }


def test_many_cases_skip_what_is_done_and_survive_a_bad_one(
    tmp_path, checkpoint, capsys
):
    folders = write_brats(tmp_path / "in", 4)
    bad = folders[0] / f"{folders[0].name}_flair.nii.gz"
    bad.write_bytes(bad.read_bytes()[:-400])
    unmarked = folders[1] / f"{folders[1].name}_seg.nii.gz"
    _, seg = small_case()
    write_volume(unmarked, 0 * seg)
    call = [f"--model={checkpoint}", f"--image={tmp_path / 'in'}"]
    call += [f"--out={tmp_path / 'out'}"]
    main(call)
    told = capsys.readouterr().out
    assert "cut short" in told and "empty mask" in told
    done = sorted((tmp_path / "out").glob("*/score.json"))
    assert [p.parent.name for p in done] == [f.name for f in folders[2:]]
    before = [p.stat().st_mtime_ns for p in done]

    _, seg = small_case(3)
    seg[6:9, 8:12, 5] = 2
    write_volume(folders[3] / f"{folders[3].name}_seg.nii.gz", seg)
    main(call)
    after = [p.stat().st_mtime_ns for p in done]
    assert after[0] == before[0] and after[1] > before[1]
    assert (tmp_path / "out/problems.csv").read_text().count("\n") >= 3


def test_a_folder_of_someone_else_is_left_alone(tmp_path, checkpoint):
    (folder,) = write_brats(tmp_path / "in", 1)
    precious = tmp_path / "out" / folder.name / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    cases = find_cases(tmp_path / "in")
    table, problems = explain_all(cases, read_model(checkpoint), tmp_path / "out")
    assert table.empty and "left as it is" in problems[0].detail
    assert precious.read_text() == "years of work"


def test_a_killed_run_leaves_no_half_case(tmp_path, checkpoint, monkeypatch):
    write_brats(tmp_path / "in", 1)
    cases = find_cases(tmp_path / "in")

    def die(*args):
        raise KeyboardInterrupt

    # The heatmap is there by then, and the scores are not.
    monkeypatch.setattr("lrpbook_lib.explain.write.write_overlay", die)
    with pytest.raises(KeyboardInterrupt):
        explain_all(cases, read_model(checkpoint), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@register_network
class Wide(torch.nn.Module):
    """A network of one's own, which no name of a weight gives away."""

    def __init__(self, channels: int, width: int = 4, classes: int = 2):
        super().__init__()
        self.look = torch.nn.Conv2d(channels, width, 5, padding=2)
        self.say = torch.nn.Linear(width, classes)

    def forward(self, x):
        return self.say(torch.relu(self.look(x)).mean((2, 3)))


@pytest.mark.parametrize("kind", [GliomaCNN, SliceNet, Wide])
def test_a_trainers_checkpoint_tells_all(tmp_path, kind):
    write_brats(tmp_path / "in", 4)
    slices = extract_slices(
        find_cases(tmp_path / "in"), ("t1ce", "flair"), size=60, normalization="zscore"
    )
    torch.manual_seed(0)
    network = Wide(2, width=5) if kind is Wide else kind(channels=2, size=60)
    settings = TrainSettings(epochs=1, composite="zplus", start="one")
    keep = KeepBest("train_loss", higher_is_better=False)
    run = tmp_path / "run"
    Trainer(network, LRPLoss(), settings, run, [keep]).fit(slices)
    for place in (run, run / "checkpoint.safetensors"):
        read = read_model(place)
        assert type(read.network) is kind and not read.network.training
        assert read.spec == ModelSpec(
            kind.__name__,
            json.loads(json.dumps(network._arguments)),
            ("t1ce", "flair"),
            ("LGG", "HGG"),
            (60, 60),
            "zscore",
        )
        assert (read.composite, read.start) == ("zplus", "one")
        for name, weight in network.state_dict().items():
            torch.testing.assert_close(read.network.state_dict()[name], weight)
    _, about = read_tensors(run / "best.safetensors")
    assert about["data"] == data_digest(slices) != data_digest(slices.subset([0, 1]))
    assert about["identity"]["samples"] == len(slices)

    main([f"--model={run}", f"--image={tmp_path / 'in'}", f"--out={tmp_path / 'out'}"])
    name = find_cases(tmp_path / "in")[0].id
    facts = json.loads((tmp_path / "out" / name / "score.json").read_text())
    mine = slices.subset(slices.case == name)
    with torch.no_grad():
        p = network.eval()(torch.from_numpy(mine.images)).softmax(1)[:, 1]
    told = {row["slice"]: row["probabilities"]["HGG"] for row in facts["by_slice"]}
    np.testing.assert_allclose([told[z] for z in mine.z], p, atol=2e-6)
    assert facts["model"]["normalization"] == "zscore"


def test_what_a_checkpoint_does_not_tell_can_be_told(tmp_path):
    old = tmp_path / "old.safetensors"
    save_file({f"model.{k}": v for k, v in Wide(3).state_dict().items()}, old)
    with pytest.raises(CheckpointError, match=r"which network .* Train again, or tell"):
        read_model(old)
    told = {
        "network": "Wide",
        "arguments": {"channels": 3},
        "channels": list(SEQUENCES),
        "classes": ["LGG", "HGG"],
        "shape": [40, 48],
        "normalization": "percentile",
    }
    (tmp_path / "spec.json").write_text(json.dumps(told))
    paths = write_own(tmp_path)
    call = [f"--model={old}", *(f"--image={paths[s]}" for s in SEQUENCES), "--name=x"]
    call += [f"--out={tmp_path / 'out'}", f"--spec={tmp_path / 'spec.json'}"]
    main(call)
    facts = json.loads((tmp_path / "out/x/score.json").read_text())
    assert facts["model"]["shape"] == [40, 48]
    with pytest.raises(CheckpointError, match=r"do not fit Wide with .*'width': 9"):
        read_model(old, **{**told, "arguments": {"channels": 3, "width": 9}})
    with pytest.raises(ValueError, match=r"cannot be made with .*'depth'"):
        read_model(old, **{**told, "arguments": {"channels": 3, "depth": 9}})
    with pytest.raises(ValueError, match=r"chanels \(did you mean channels"):
        read_model(old, **told, chanels=("t1",))
    with pytest.raises(ValueError, match=r"no network 'Mine'; .*register_network"):
        read_model(old, **{**told, "network": "Mine"})
    case = own_case(of(paths), paths["seg"])
    for field, value, said in (
        ("channels", ["t1"], r"want of channels or shape\. Told are channels \['t1'\]"),
        ("shape", [], "want of channels or shape and two edges of its shape"),
        ("shape", [40, 48, 9], "two edges of its shape.* Volumes are for"),
        ("classes", ["LGG"], r"want of classes\. .* classes \['LGG'\]"),
        ("normalization", None, r"want of normalization\. .*\(normalization: percent"),
    ):
        with pytest.raises(ValueError, match=said):
            explain_case(case, read_model(old, **{**told, field: value}))


def test_a_file_may_register_the_network(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom lrpbook_lib.models import register_network\n\n"
        "@register_network\nclass Own(torch.nn.Sequential):\n"
        "    def __init__(self, size=32):\n        super().__init__("
        "torch.nn.Flatten(), torch.nn.Linear(3 * size * size, 2))\n"
    )
    write_brats(tmp_path / "in", 2)
    slices = extract_slices(find_cases(tmp_path / "in"), SEQUENCES, size=32)
    script = (
        "import runpy, sys\nfrom lrpbook_lib.data import SliceSet\n"
        "from lrpbook_lib.training import Trainer, TrainSettings\n"
        "own = runpy.run_path('mine.py')['Own']\n"
        "Trainer(own(), None, TrainSettings(epochs=1), 'run')"
        f".fit(SliceSet.load({str(slices.store.folder)!r}))\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    call = [f"--model={tmp_path / 'run'}", f"--image={tmp_path / 'in'}"]
    call += [f"--out={tmp_path / 'out'}"]
    with pytest.raises(ValueError, match="no network 'Own'"):
        main(call)
    main([*call, f"--networks={tmp_path / 'mine.py'}"])
    assert len(list((tmp_path / "out").glob("*/score.json"))) == 2


@pytest.mark.parametrize("name", ["plain", "guided"])
def test_the_models_of_the_book_are_read_by_name(name):
    read = read_model(name)
    assert isinstance(read.network, GliomaCNN) and read.name == name
    assert read.spec.channels == SEQUENCES and read.spec.shape == (64, 64)
    assert read.spec.normalization == "percentile"
    with pytest.raises(KeyError, match="come with the book, which are plain, guided"):
        read_model("giuded")


def test_bad_models_and_bad_names_are_told(tmp_path, checkpoint):
    with pytest.raises(FileNotFoundError, match="holds none of"):
        read_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_model(tmp_path / "missing.safetensors")
    paths = write_own(tmp_path)
    case = own_case(of(paths), paths["seg"])
    with pytest.raises(ValueError, match="knows LGG, HGG"):
        explain_case(case, read_model(checkpoint), "glioma")
    with pytest.raises(ValueError, match="would be a path"):
        own_case(of(paths), name="../up")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["{t1}", "{t2}"], "named are t1, t2"),
        (["{t1}", "{t1}", "{flair}"], "would both be t1"),
        (["t1={t1}", "t2={t2}", "pd={flair}"], "'pd' is none of the model's"),
        (["{t1}", "{t2}", "{t1ce}"], "named are t1, t2, t1ce"),
    ],
)
def test_images_that_are_not_the_models_sequences(
    tmp_path, checkpoint, images, message
):
    paths = write_own(tmp_path)
    call = [f"--image={text.format(**paths)}" for text in images]
    with pytest.raises(ValueError, match=message):
        main([f"--model={checkpoint}", *call, f"--out={tmp_path / 'out'}"])


def test_unnamed_files_follow_the_order_of_the_model(tmp_path, checkpoint):
    paths = write_own(tmp_path)
    plain = [paths[s].rename(tmp_path / f"{i}.nii.gz") for i, s in enumerate(SEQUENCES)]
    call = [f"--model={checkpoint}", *(f"--image={p}" for p in plain), "--name=x"]
    main([*call, f"--out={tmp_path / 'out'}"])
    facts = json.loads((tmp_path / "out/x/score.json").read_text())
    assert facts["inputs"] == {"t1": "0.nii.gz", "t2": "1.nii.gz", "flair": "2.nii.gz"}


def bad_files(how: str, paths: dict[str, Path]) -> None:
    images, seg = small_case(shape=(20, 26, 12))
    affine = np.diag([-5.0, -5, 5, 1])
    if how == "dicom":
        paths["t2"].write_bytes(bytes(128) + b"DICM" + bytes(100))
    elif how == "dicom folder":
        paths["t2"].unlink()
        paths["t2"].mkdir()
        (paths["t2"] / "IM001").write_bytes(bytes(128) + b"DICM" + bytes(100))
    elif how == "4D":
        write_volume(paths["t2"], np.stack([images["t2"]] * 3, -1), affine)
    elif how == "spacing":
        write_volume(paths["flair"], images["flair"], np.diag([-4.0, -5, 5, 1]))
    elif how == "shape":
        write_volume(paths["flair"], images["flair"][:-2], affine)
    elif how == "elsewhere":
        moved = affine.copy()
        moved[:3, 3] = [0, 0, 40]
        write_volume(paths["seg"], seg, moved)
    elif how == "empty mask":
        write_volume(paths["seg"], 0 * seg, affine)
    elif how == "NaN":
        values = images["t1"].astype("f4")
        values[3, 3, 3] = np.nan
        write_volume(paths["t1"], values, affine)
    elif how == "text":
        paths["t1"].write_text("no image at all")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("dicom", "is DICOM: convert"),
        ("dicom folder", "is DICOM: convert"),
        ("4D", "where 1 volume"),
        ("spacing", "differ in size"),
        ("shape", "wrong shape"),
        ("elsewhere", "lies elsewhere in space"),
        ("empty mask", "marks no tumor"),
        ("NaN", "NaN"),
        ("text", "cannot be read|no NIfTI"),
    ],
)
def test_bad_files_are_told_with_the_way_out(tmp_path, how, message):
    paths = write_own(tmp_path)
    bad_files(how, paths)
    with pytest.raises(ValueError, match=message):
        own_case(of(paths), paths["seg"])


def test_a_head_with_its_skull_is_recognized(tmp_path):
    images, _ = small_case(shape=(20, 26, 12))
    noisy = {n: i + 3 for n, i in images.items()}
    paths = write_own(tmp_path, **noisy)
    assert not own_case(of(paths), paths["seg"]).reader.stripped
    paths = write_own(tmp_path / "stripped")
    assert own_case(of(paths), paths["seg"]).reader.stripped


def test_the_command_fails_in_a_line(tmp_path, checkpoint):
    call = [sys.executable, "-m", "lrpbook_lib.explain", "--model", str(checkpoint)]
    call += ["--image", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "no case of a known release" in done.stderr


def test_an_explorer_is_written_where_asked_for(tmp_path, checkpoint):
    files = write_own(tmp_path / "own")
    model, out = read_model(checkpoint), tmp_path / "out"
    case = own_case(of(files), files["seg"], "a")
    explain_all([case], model, out)
    assert not (out / "a" / "explorer.html").exists()
    table, problems = explain_all([case], model, out, explorer=True)
    assert not problems and not table["done_before"].any()
    page = (out / "a" / "explorer.html").read_text()
    assert "not for clinical use" in page and "http://" not in page.split("<body")[0]
    assert explain_all([case], model, out, explorer=True)[0]["done_before"].all()
