"""P-values counted by hand, and the promise they make."""

import numpy as np
import pytest

from lrpbook_lib.data import SliceSet
from lrpbook_lib.similar import SimilarCases, Support, nonconformity, p_values

from .small import LAYERS, cohort, small_net


def test_by_hand():
    labels = np.array([[0, 0, 1, 0, 2, 0]])  # neighbors at two layers, three each
    alpha = nonconformity(labels, classes=3)
    np.testing.assert_array_equal(alpha, [[2, 5, 5]])
    calibration = np.array([3, 0, 1, 0, 5, 2, 0, 0, 1])  # nine, four of them zero
    p = p_values(alpha, calibration)
    np.testing.assert_allclose(p, [[4 / 10, 2 / 10, 2 / 10]])
    support = Support(p)
    assert support.predicted.tolist() == [0]
    assert support.credibility.tolist() == [0.4]
    assert support.confidence.tolist() == [0.8]


def test_calibration_cases_that_conform_fully_count():
    """Trimming zeros, as the published code does, would give one half here."""
    calibration = np.array([0] * 98 + [6])
    assert p_values(np.array([1]), calibration).tolist() == [0.02]
    assert p_values(np.array([0]), calibration).tolist() == [1.0]


def test_order_and_ties_of_the_calibration_do_not_matter():
    rng = np.random.default_rng(0)
    calibration, alpha = rng.integers(0, 8, 40), rng.integers(0, 8, (9, 2))
    want = [[(1 + (calibration >= a).sum()) / 41 for a in row] for row in alpha]
    np.testing.assert_allclose(p_values(alpha, calibration), want)
    np.testing.assert_allclose(p_values(alpha, np.sort(calibration)), want)


def test_the_true_class_is_rejected_no_more_often_than_promised():
    rng = np.random.default_rng(0)
    for epsilon in (0.05, 0.2):
        hits = [
            p_values(drawn[:1], drawn[1:])[0] <= epsilon
            for drawn in rng.integers(0, 20, (4000, 40))
        ]
        assert np.mean(hits) <= epsilon + 3 * (epsilon / 4000) ** 0.5


def test_p_values_of_cases_are_those_of_their_neighbors():
    model, atlas = small_net(), cohort(12)
    calibration, query = cohort(6, seed=1, first=40), cohort(4, seed=2, first=80)
    cases = SimilarCases(model, LAYERS, k=3).fit(atlas, calibration)

    def counts(slices):
        found = cases.query(slices)
        near = [atlas.labels[found.neighbors[layer]] for layer in LAYERS]
        return found, [
            [sum(int((n[i] != j).sum()) for n in near) for j in range(2)]
            for i in range(len(slices))
        ]

    _, against = counts(calibration)
    known = [row[y] for row, y in zip(against, calibration.labels, strict=True)]
    found, alpha = counts(query)
    want = [[(1 + sum(c >= a for c in known)) / 19 for a in row] for row in alpha]
    np.testing.assert_allclose(found.p_values, want)
    np.testing.assert_array_equal(found.predicted, np.argmax(want, 1))


def test_grades_that_tell_themselves_apart_are_believed_and_noise_is_not():
    """Class means far apart; then queries that lie halfway between."""

    def told_apart(patients, first, seed):
        made = cohort(patients, first=first, seed=seed)
        images = made.images + 2.0 * made.labels[:, None, None, None]
        return SliceSet.from_arrays(
            images, made.labels, made.tumor, made.brain, made.patient, made.site
        )

    model = small_net()
    cases = SimilarCases(model, "features.2").fit(
        told_apart(20, 0, 0), told_apart(20, 30, 1)
    )
    clear = told_apart(8, 60, 2)
    found = cases.query(clear)
    np.testing.assert_array_equal(found.predicted, clear.labels)
    assert found.credibility.min() == 1 and found.confidence.min() > 0.95
    assert found.p_values[0] == pytest.approx([1, 1 / 61])
