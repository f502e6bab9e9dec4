"""Regions cut out of maps, and their overlap, against brute force and a peer."""

import numpy as np
import pytest
import SimpleITK

from lrpbook_lib.attribution import (
    Level,
    MultiOtsu,
    OfPeak,
    Quantile,
    Segmenter,
    best_dice,
    dice,
    ellipse_map,
    hausdorff95,
    iou,
    largest_parts,
    learn_segmenter,
    segmentation_table,
)

RNG = np.random.default_rng(0)
EMPTY = np.zeros((1, 6, 8), bool)
BOX = EMPTY.copy()
BOX[0, 1:4, 2:5] = True


def blobs(shape=(9, 12), n=6):
    noise = RNG.random((n, *shape))
    return np.stack(
        [Segmenter(Quantile(0.7), smooth=1, parts=0)(x[None])[0] for x in noise]
    )


def test_overlap_by_hand():
    moved = np.roll(BOX, 1, axis=2)  # nine pixels each, six in both
    assert dice(BOX, moved).tolist() == [pytest.approx(12 / 18)]
    assert iou(BOX, moved).tolist() == [pytest.approx(6 / 12)]
    assert hausdorff95(BOX, moved).tolist() == [1.0]
    # Only to the side, where a pixel is three wide.
    assert hausdorff95(BOX, moved, (1, 3)).tolist() == [3.0]


def test_empty_regions_are_defined():
    for measure, same, one in ((dice, 1, 0), (iou, 1, 0), (hausdorff95, 0, 10)):
        assert measure(EMPTY, EMPTY).tolist() == [same]
        assert measure(EMPTY, BOX).tolist() == [one]  # 10: the diagonal
        assert measure(BOX, EMPTY).tolist() == [one]
    assert best_dice(RNG.random((1, 6, 8)), EMPTY).tolist() == [0]
    with pytest.raises(ValueError, match="differ in shape"):
        dice(EMPTY, EMPTY[:, 1:])


@pytest.mark.parametrize("shape", [(9, 12), (5, 6, 7)])
def test_overlap_of_any_shapes_by_brute_force(shape):
    a, b = blobs(shape), blobs(shape)
    spacing = np.array([1.0, 2.0, 0.5])[: len(shape)]

    def rim(region):
        padded = np.pad(region, 1)
        border = [
            p
            for p in np.argwhere(region)
            if not all(
                padded[tuple(p + 1 + s * e)]
                for e in np.eye(len(shape), dtype=int)
                for s in (1, -1)
            )
        ]
        return np.array(border) * spacing

    for one, other, d, j, h in zip(
        a, b, dice(a, b), iou(a, b), hausdorff95(a, b, spacing), strict=True
    ):
        sets = [set(map(tuple, np.argwhere(r))) for r in (one, other)]
        both, either = sets[0] & sets[1], sets[0] | sets[1]
        assert d == pytest.approx(2 * len(both) / (len(sets[0]) + len(sets[1])))
        assert j == pytest.approx(len(both) / len(either))
        far = np.linalg.norm(rim(one)[:, None] - rim(other)[None], axis=-1)
        want = max(np.percentile(far.min(k), 95) for k in (0, 1))
        assert h == pytest.approx(want)


def test_overlap_against_a_peer():
    a, b = blobs(), blobs()
    for one, other, d in zip(a, b, dice(a, b), strict=True):
        peer = SimpleITK.LabelOverlapMeasuresImageFilter()
        peer.Execute(
            *(SimpleITK.GetImageFromArray(r.astype("u1")) for r in (one, other))
        )
        assert d == pytest.approx(peer.GetDiceCoefficient())


def test_best_dice_tries_every_level():
    heat = RNG.integers(0, 5, (4, 5, 6)).astype(float)  # with ties
    truth = RNG.random(heat.shape) > 0.6
    want = np.max([dice(heat >= level, truth) for level in range(5)], axis=0)
    np.testing.assert_allclose(best_dice(heat, truth), want)


def naive_otsu(values, bins=256):
    """The two levels between three classes, by trying every pair of bin edges."""
    count, edges = np.histogram(values, bins)
    middle = (edges[1:] + edges[:-1]) / 2
    n, s = np.cumsum(count), np.cumsum(count * middle)
    best, found = -1.0, None
    for i in range(bins - 2):
        for j in range(i + 1, bins - 1):
            parts = [
                (n[i], s[i]),
                (n[j] - n[i], s[j] - s[i]),
                (n[-1] - n[j], s[-1] - s[j]),
            ]
            between = sum(b * b / a for a, b in parts if a)
            if between > best:
                best, found = between, edges[j + 1]
    return found


def test_multi_otsu_against_the_definition():
    values = np.concatenate([RNG.normal(m, 0.3, 200) for m in (1, 3, 6)]).clip(min=0)
    width = values.max() / 256
    level = MultiOtsu()(values)
    assert 3.5 < level < 5.5
    # Any cut inside the same gap has the same variance: compare what they tell apart.
    want = naive_otsu(values)
    assert (
        level == pytest.approx(want, abs=2 * width)
        or not ((values > min(level, want)) & (values < max(level, want))).any()
    )
    assert MultiOtsu(0.5)(values) == pytest.approx(level - 0.5)
    assert MultiOtsu(100)(values) == 0


def test_the_other_rules_by_hand():
    values = np.array([0.0, 1.0, 2.0, 4.0])
    assert Quantile(0.5)(values) == 1.5
    assert OfPeak(0.25)(values) == 1.0
    assert Level(3)(values) == 3


def test_regions_are_cut_inside_and_the_largest_parts_are_kept():
    heat = np.zeros((1, 6, 8))
    heat[0, 0, :3], heat[0, 3, 5:7], heat[0, 5, 0] = 2, 3, 9
    heat[0, 2, 2] = -5  # negative: as zero
    assert Segmenter(Level(1), parts=0)(heat).sum() == 6
    assert np.argwhere(Segmenter(Level(1))(heat)[0]).tolist() == [
        [0, 0],
        [0, 1],
        [0, 2],
    ]
    assert Segmenter(Level(1), parts=2)(heat).sum() == 5
    brain = np.ones_like(heat, bool)
    brain[:, 0] = False
    assert np.argwhere(Segmenter(Level(1))(heat, brain)[0]).tolist() == [[3, 5], [3, 6]]
    # The rule sees the brain alone: without the row above, fewer pixels lie above.
    assert Segmenter(OfPeak(0.5), parts=0)(heat, brain).sum() == 1
    for nothing in (heat * 0, -heat.clip(min=0)):
        for rule in (MultiOtsu(), Quantile(), OfPeak(), Level()):
            assert not Segmenter(rule)(nothing).any()
    assert Segmenter(Level())(heat[:0]).shape == (0, 6, 8)


def test_largest_parts_in_three_dimensions():
    region = np.zeros((4, 4, 4), bool)
    region[0, 0, :3] = region[3, 3, :2] = region[2, 0, 0] = True
    assert largest_parts(region).sum() == 3
    assert largest_parts(region, 2).sum() == 5
    assert largest_parts(region, 9).sum() == 6


def test_smoothing_joins_grains():
    heat = np.zeros((1, 12, 12))
    heat[0, 4:9:2, 4:9:2] = 1
    assert Segmenter(OfPeak(0.3))(heat).sum() == 1
    assert Segmenter(OfPeak(0.3), smooth=1)(heat).sum() > 20


def test_learning_takes_patients_alike_and_slices_with_tumor_only():
    # Two slices of one patient want a low level, one of each of three others a high.
    truth = np.zeros((6, 4, 4), bool)
    truth[:2, :2], truth[2:5, 0] = True, True
    heat = np.zeros((6, 4, 4))
    heat[:, 0], heat[:, 1] = 3, 2
    patient = ["a", "a", "b", "c", "d", "e"]
    heat[5] = 5  # a slice without tumor: says nothing
    rules = [Segmenter(Level(v)) for v in (1, 2.5, 2.6)]
    segmenter, found = learn_segmenter(rules, heat, truth, patient)
    assert segmenter == rules[1]
    assert found == pytest.approx((2 / 3 + 1 + 1 + 1) / 4)
    with pytest.raises(ValueError, match="no slice with a tumor"):
        learn_segmenter(rules, heat, truth * 0, patient)
    with pytest.raises(ValueError, match="no candidates"):
        learn_segmenter([], heat, truth, patient)


def test_the_table_counts_false_alarms_apart():
    truth = np.concatenate([BOX, BOX, EMPTY, EMPTY])
    found = np.concatenate([BOX, EMPTY, BOX, EMPTY])
    table = segmentation_table(found, truth, ["p", "p", "p", "q"])
    assert table["dice"].tolist()[:2] == [1, 0] and table["dice"][2:].isna().all()
    assert table["false_alarm"].tolist()[2:] == [1, 0]
    assert table["false_alarm"][:2].isna().all()
    by_patient = table.groupby("patient").mean()
    assert by_patient.loc["p", "dice"] == 0.5 and np.isnan(by_patient.loc["q", "dice"])


def test_the_ellipse_lies_in_the_middle_of_the_brain():
    brain = np.zeros((2, 21, 31), bool)
    brain[0, 5:16, 3:24] = True  # 11 by 21 pixels
    made = ellipse_map(brain)[0]
    assert made[10, 13] == made.max() == 1
    assert made[10, 13 + 10] == pytest.approx(1 - 10 / 10.5)
    assert made[10 + 5, 13] == pytest.approx(1 - 5 / 5.5)
    assert np.array_equal(made, made[::-1]) and not ellipse_map(brain)[1].any()
    area = (made > 0.5).sum()
    assert area == pytest.approx(np.pi * (5.5 / 2) * (10.5 / 2), rel=0.1)
