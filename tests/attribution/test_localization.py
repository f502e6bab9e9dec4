"""Relatives of the score, by numbers that can be checked by hand."""

import pytest
import torch

from lrpbook_lib.attribution import (
    chance_level,
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)

EVERY = [
    energy_pointing_game,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
]
#: One channel:  5 -2     mask:  1 1
#:               1  4            0 0
MAP = torch.tensor([[[[5.0, -2.0], [1.0, 4.0]]]])
MASK = torch.tensor([[[1, 1], [0, 0]]])


def test_mass_by_hand():
    assert relevance_mass_accuracy(MAP, MASK).item() == pytest.approx(5 / 10)
    assert energy_pointing_game(MAP, MASK).item() == pytest.approx(5 / 10)
    absolute = relevance_mass_accuracy(MAP, MASK, "absolute")
    assert absolute.item() == pytest.approx(7 / 12)
    squared = relevance_mass_accuracy(MAP, MASK, "squared")
    assert squared.item() == pytest.approx(29 / 46)


def test_a_signed_map_never_exceeds_one():
    # Without pooling this map has 5 inside of a sum of 3: a "share" of 1.67.
    signed = torch.tensor([[[[5.0, 0.0], [-2.0, 0.0]]]])
    for pooling in ("positive", "absolute", "squared"):
        assert relevance_mass_accuracy(signed, MASK, pooling).item() <= 1


def test_channels_are_summed_before_anything():
    relevance = torch.tensor([[[[3.0, 0.0]], [[-3.0, 1.0]]]])
    mask = torch.tensor([[[1, 0]]])
    assert relevance_mass_accuracy(relevance, mask).item() == 0
    assert pointing_game(relevance, mask).item() == 0


def test_rank_by_hand():
    # The two most relevant pixels are 5 (inside) and 4 (outside).
    assert relevance_rank_accuracy(MAP, MASK).item() == pytest.approx(1 / 2)


def test_ties_count_by_their_expected_share():
    uniform = torch.ones(1, 1, 4, 5)
    mask = torch.zeros(1, 4, 5)
    mask[0, 0, :3] = 1
    assert relevance_rank_accuracy(uniform, mask).item() == pytest.approx(3 / 20)
    assert pointing_game(uniform, mask).item() == pytest.approx(3 / 20)
    # One pixel above, inside; the other two places drawn from 19 with 2 inside.
    uniform[0, 0, 0, 0] = 2
    want = (1 + 2 * 2 / 19) / 3
    assert relevance_rank_accuracy(uniform, mask).item() == pytest.approx(want)


def test_pointing_and_its_tolerance():
    relevance = torch.zeros(1, 1, 7, 7)
    relevance[..., 3, 5] = 1
    mask = torch.zeros(1, 7, 7)
    mask[0, 3, 2] = 1
    assert pointing_game(relevance, mask).item() == 0
    assert pointing_game(relevance, mask, tolerance=2).item() == 0
    assert pointing_game(relevance, mask, tolerance=3).item() == 1


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("what", ["empty mask", "nothing positive", "zero"])
def test_nothing_to_score_is_zero(metric, what):
    # An empty mask counts as a hit in one library, and zero over zero as NaN.
    mask = torch.zeros_like(MASK) if what == "empty mask" else MASK
    relevance = {"nothing positive": -MAP.abs(), "zero": MAP * 0}.get(what, MAP)
    if metric is relevance_mass_accuracy:
        assert metric(relevance, mask, "positive").tolist() == [0.0]
    assert metric(relevance, mask).tolist() == [0.0]


@pytest.mark.parametrize("metric", EVERY)
def test_three_dimensions_and_batches(metric):
    torch.manual_seed(0)
    relevance, mask = torch.randn(3, 2, 4, 5, 6), torch.rand(3, 4, 5, 6) > 0.8
    together = metric(relevance, mask)
    alone = torch.cat([metric(relevance[i : i + 1], mask[i : i + 1]) for i in range(3)])
    assert together.shape == (3,)
    torch.testing.assert_close(together, alone)
    assert ((together >= 0) & (together <= 1)).all()
    torch.testing.assert_close(metric(relevance, mask[:, None]), together)


def test_lift_of_a_uniform_map_is_one():
    mask, brain = torch.rand(4, 6, 7) > 0.7, torch.rand(4, 6, 7) > 0.3
    torch.testing.assert_close(lift(torch.ones(4, 1, 6, 7), mask, brain), torch.ones(4))
    assert lift(torch.ones(4, 1, 6, 7), mask & False, brain).tolist() == [0.0] * 4
    assert chance_level(mask & False, brain & False).tolist() == [0.0] * 4


def test_a_pooling_that_is_none():
    with pytest.raises(ValueError, match="'positive'"):
        relevance_mass_accuracy(MAP, MASK, "mean")
