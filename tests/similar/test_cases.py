"""Neighbors against brute force, and everything that must be refused."""

import json

import numpy as np
import pytest
import torch

from lrpbook_lib.lrp import Explainer, LRPError
from lrpbook_lib.similar import (
    ModelChangedError,
    SimilarCases,
    fingerprint,
    order_kept,
    pooled,
)

from .small import LAYERS, cohort, small_net


def brute_force(model, layer, atlas, query, k, distance):
    """Positions of the k nearest of other patients, one distance at a time."""
    explainer = Explainer(model, at=layer)
    with torch.no_grad():
        read = [
            explainer.activation(torch.tensor(s.images)).flatten(1).double().numpy()
            for s in (atlas, query)
        ]
    mean, spread = read[0].mean(0), read[0].std(0)
    keep = spread > 1e-9
    one, two = ((r - mean)[:, keep] / spread[keep] for r in read)
    found = []
    for patient, q in zip(query.patient, two, strict=True):
        order = []
        for i, a in enumerate(one):
            if atlas.patient[i] == patient:
                continue
            if distance == "cosine":
                d = 1 - q @ a / np.linalg.norm(q) / np.linalg.norm(a)
            else:
                d = {"euclidean": np.square, "manhattan": np.abs}[distance](q - a).sum()
            order.append((d, i))
        found.append([i for _, i in sorted(order)[:k]])
    return np.array(found)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "manhattan"])
def test_neighbors_are_those_of_brute_force_without_the_own_patient(distance):
    model, atlas = small_net(), cohort(10)
    query = atlas.subset(np.arange(0, 30, 2))  # every query is in the atlas
    cases = SimilarCases(model, LAYERS, k=4, distance=distance)
    found = cases.fit(atlas, cohort(6, seed=1, first=50)).query(query)
    for layer in LAYERS:
        want = brute_force(model, layer, atlas, query, 4, distance)
        np.testing.assert_array_equal(found.neighbors[layer], want)
        own = query.patient[:, None]
        assert (atlas.patient[found.neighbors[layer]] != own).all()
        assert (np.diff(found.distances[layer], axis=1) >= 0).all()


def test_distances_are_those_of_standardized_columns():
    model, atlas = small_net(), cohort(10)
    cases = SimilarCases(model, "classifier.2").fit(atlas, cohort(6, first=50, seed=1))
    found = cases.query(cohort(2, seed=2, first=80))
    with torch.no_grad():
        at = Explainer(model, at="classifier.2").activation
        a, q = (at(torch.tensor(s.images)).double().numpy() for s in (
            atlas, cohort(2, seed=2, first=80)))  # fmt: skip
    keep = a.std(0) > 1e-9
    a, q = ((r - a.mean(0))[:, keep] / a.std(0)[keep] for r in (a, q))
    near = a[found.neighbors["classifier.2"][0, 0]]
    want = 1 - q[0] @ near / np.linalg.norm(q[0]) / np.linalg.norm(near)
    assert found.distances["classifier.2"][0, 0] == pytest.approx(want, abs=1e-5)


def test_positions_are_those_of_the_atlas_given_though_some_are_set_aside():
    model, atlas = small_net(), cohort(15)
    cases = SimilarCases(model, "classifier.2", k=3).fit(atlas)
    assert 0 < len(cases.calibration) < len(atlas)
    assert len(cases.calibration) + len(cases.atlas) == len(atlas)
    found = cases.query(cohort(2, seed=3, first=90))
    rows = found.neighbors["classifier.2"]
    assert set(rows.ravel()) <= set(cases.atlas.index)
    np.testing.assert_array_equal(
        found.of("patient", "classifier.2"), atlas.patient[rows]
    )
    table = found.table()
    assert list(table["rank"][:3]) == [1, 2, 3]
    np.testing.assert_array_equal(table["site"], atlas.site[table["row"]])
    np.testing.assert_array_equal(table["label"], atlas.labels[table["row"]])


def test_a_tensor_is_asked_about_like_a_slice_set():
    model, atlas = small_net(), cohort(15)
    cases = SimilarCases(model, LAYERS).fit(atlas)
    query = atlas.subset(np.arange(4))
    as_set = cases.query(query)
    as_tensor = cases.query(torch.tensor(query.images), patient=query.patient)
    nobody = cases.query(torch.tensor(query.images))
    for layer in LAYERS:
        np.testing.assert_array_equal(
            as_set.neighbors[layer], as_tensor.neighbors[layer]
        )
    inside = [i for i in range(4) if i in cases.atlas.index]
    assert inside
    for i in inside:  # without a name, the slice itself is its nearest neighbor
        assert nobody.neighbors["features.2"][i, 0] == i


def test_training_mode_and_gradients_change_nothing():
    model, atlas = small_net(), cohort(15)
    query = cohort(2, seed=3, first=90)
    cases = SimilarCases(model, LAYERS).fit(atlas)
    before = cases.query(query)
    model.train()
    after = cases.query(query)
    assert model.training and model.features[3].training
    np.testing.assert_array_equal(before.p_values, after.p_values)
    np.testing.assert_array_equal(
        before.neighbors["classifier.2"], after.neighbors["classifier.2"]
    )


def test_pooling_takes_means_over_the_finest_grid_that_fits():
    z = torch.randn(2, 3, 4, 6)
    found = pooled(z, width=12)  # 3 channels, 2 x 2 cells
    want = z.reshape(2, 3, 2, 2, 2, 3).mean((3, 5)).flatten(1)
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(pooled(z, width=11), z.mean((2, 3)))
    volume = torch.randn(2, 3, 4, 4, 4)
    assert pooled(volume, width=24).shape == (2, 24)


def test_what_reducing_costs_is_measured():
    rng = np.random.default_rng(0)
    full = rng.normal(size=(60, 30))
    assert order_kept(full, full, 5) == pytest.approx((1, 1))
    assert order_kept(full, 7 * full + 3, 5) == pytest.approx((1, 1))  # standardized
    tied = np.repeat(full[:6], 10, axis=0)  # nine others at distance zero
    assert order_kept(tied, tied, 5) == pytest.approx((1, 1))
    unrelated = order_kept(full, rng.normal(size=(60, 30)), 5)
    assert abs(unrelated[0] - 5 / 59) < 0.06 and abs(unrelated[1]) < 0.2
    model, atlas = small_net(), cohort(20)
    table = SimilarCases(model, LAYERS, width=24).reduction(atlas)
    assert table.loc["features.2", ["units", "columns"]].tolist() == [96, 24]
    assert table.loc["classifier.2", "neighbors_kept"] == 1
    assert 0 < table.loc["features.2", "neighbors_kept"] < 1


def test_saved_and_loaded_it_answers_the_same_and_holds_no_pickle(tmp_path):
    model, atlas = small_net(), cohort(15)
    query = cohort(3, seed=3, first=90)
    for distance in ("cosine", "euclidean"):
        cases = SimilarCases(model, LAYERS, k=3, distance=distance, width=24).fit(atlas)
        path = cases.save(tmp_path / "atlas.npz")
        with np.load(path, allow_pickle=False) as file:
            assert all(file[name].dtype.kind in "iufU" for name in file)
            assert json.loads(str(file["about"]))["model"] == fingerprint(model)
        again = SimilarCases.load(path, small_net())
        one, two = cases.query(query), again.query(query)
        assert one.table().equals(two.table())
        np.testing.assert_array_equal(one.p_values, two.p_values)
        assert again.search == cases.search
    assert [p.name for p in tmp_path.iterdir()] == ["atlas.npz"]


def test_fingerprint_names_weights_buffers_and_layers():
    model = small_net()
    name = fingerprint(model)
    assert fingerprint(small_net()) == name == fingerprint(small_net().train())
    assert fingerprint(small_net(seed=1)) != name
    with torch.no_grad():
        model.classifier[3].bias[0] += 1e-6
    assert fingerprint(model) != name
    norm = torch.nn.BatchNorm1d(3)
    before = fingerprint(norm)
    norm(torch.rand(5, 3))  # running statistics move
    assert fingerprint(norm) != before
    pools = [torch.nn.MaxPool2d(n) for n in (2, 3)]
    assert fingerprint(pools[0]) != fingerprint(pools[1])


def test_a_model_changed_after_fit_is_refused(tmp_path):
    model, atlas = small_net(), cohort(15)
    cases = SimilarCases(model, "classifier.2").fit(atlas)
    path = cases.save(tmp_path / "atlas.npz")
    model.classifier[3].bias.data[0] += 1  # behind autograd's back
    for call in (lambda: cases.query(atlas), lambda: cases.save(path)):
        with pytest.raises(ModelChangedError, match="Fit again"):
            call()
    with pytest.raises(ModelChangedError, match="weights or layers have changed"):
        SimilarCases.load(path, model)
    cases.fit(atlas).query(atlas)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k=0 must be at least 1"),
        ({"width": 0}, "width=0"),
        ({"distance": "chebyshev"}, "takes one of"),
        ({"layers": []}, "layers is empty"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    settings = {"layers": "classifier.2", **settings}
    with pytest.raises(ValueError, match=message):
        SimilarCases(small_net(), **settings)


def test_a_layer_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(LRPError, match=r"'classifer\.2'.*classifier\.2"):
        SimilarCases(small_net(), ["features.2", "classifer.2"])


def test_an_atlas_that_cannot_be_used():
    cases = SimilarCases(small_net(), "classifier.2")
    with pytest.raises(ValueError, match="call fit first"):
        cases.query(cohort(2))
    with pytest.raises(ValueError, match="one class only"):
        cases.fit(cohort(8, classes=1))
    with pytest.raises(ValueError, match="atlas is empty"):
        cases.fit(cohort(8).subset([]))
    with pytest.raises(ValueError, match="k=5 neighbors are wanted of an atlas of 4"):
        cases.fit(cohort(4, slices=1), cohort(4, first=20))
    with pytest.raises(ValueError, match=r"share 3 patients \(P09, P10, P11\)"):
        cases.fit(cohort(12), cohort(12, first=9))
    unknown = cohort(12)
    unknown.table["labels"][3:5] = -1
    with pytest.raises(ValueError, match="2 slices of the atlas have no grade"):
        cases.fit(unknown)
    with pytest.raises(ValueError, match="2 slices of the calibration set have no"):
        cases.fit(cohort(12, first=20), unknown)


def test_an_atlas_of_too_few_other_patients_names_the_one_asked_for():
    atlas = cohort(3, slices=3)
    calibration = cohort(4, first=20)
    cases = SimilarCases(small_net(), "classifier.2", k=7).fit(atlas, calibration)
    with pytest.raises(ValueError, match="6 slices of other patients than 'P01'"):
        cases.query(atlas.subset([3]))
    cases.query(cohort(1, first=90))


def test_queries_that_cannot_be():
    cases = SimilarCases(small_net(), "classifier.2").fit(cohort(15))
    with pytest.raises(ValueError, match=r"\(2, 6, 8\).*\(2, 8, 8\)"):
        cases.query(torch.rand(1, 2, 6, 8))
    with pytest.raises(ValueError, match="no slices"):
        cases.query(torch.rand(0, 2, 8, 8))
    with pytest.raises(LRPError, match="NaN"):
        cases.query(torch.full((1, 2, 8, 8), torch.nan))


def test_activations_that_say_nothing():
    dead = small_net()
    with torch.no_grad():
        dead.classifier[1].bias.fill_(-100)
    with pytest.raises(ValueError, match=r"'classifier\.2' are the same for every"):
        SimilarCases(dead, LAYERS).fit(cohort(15))
    same = cohort(15)
    same.store.arrays["images"][:] = same.images[0]
    with pytest.raises(ValueError, match=r"'features\.2' are the same for every"):
        SimilarCases(small_net(), LAYERS).fit(same)
    broken = small_net()
    with torch.no_grad():
        broken.classifier[1].bias[0] = torch.nan
    with pytest.raises(ValueError, match=r"'classifier\.2' gives NaN"):
        SimilarCases(broken, LAYERS).fit(cohort(15))


def test_a_dead_unit_changes_no_distance():
    model, atlas = small_net(), cohort(15)
    with torch.no_grad():
        model.classifier[1].bias[0] = -100  # one of twelve units is always zero
    cases = SimilarCases(model, "classifier.2", distance="euclidean").fit(atlas)
    query = cohort(2, seed=4, first=80)
    found = cases.query(query)
    assert np.isfinite(found.distances["classifier.2"]).all()
    kept = atlas.subset(cases.atlas.index)
    want = brute_force(model, "classifier.2", kept, query, 5, "euclidean")
    np.testing.assert_array_equal(
        found.neighbors["classifier.2"], cases.atlas.index.to_numpy()[want]
    )


def test_a_layer_too_wide_to_pool_says_so():
    cases = SimilarCases(small_net(), "classifier.2", width=5)
    with pytest.raises(ValueError, match=r"12 channels.*use a larger width"):
        cases.fit(cohort(15))


def test_a_file_that_is_no_atlas(tmp_path):
    path = tmp_path / "other.npz"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"holds no atlas that SimilarCases\.save"):
        SimilarCases.load(path, small_net())
    np.savez(path, a=np.zeros(3))
    with pytest.raises(ValueError, match="holds no atlas"):
        SimilarCases.load(path, small_net())
    with pytest.raises(FileNotFoundError):
        SimilarCases.load(tmp_path / "absent.npz", small_net())
