"""The score of a heatmap against a mask, by numbers that can be checked by hand."""

import pytest
import torch

from lrpbook_lib.attribution import chance_level, tumor_lrp_score


def setting():
    relevance = torch.tensor([[[[3.0, -1.0], [1.0, 4.0]], [[-1.0, 3.0], [0.0, 4.0]]]])
    mask = torch.tensor([[[4, 0], [1, 0]]])
    brain = torch.tensor([[[True, True], [False, False]]])
    return relevance, mask, brain


def test_by_hand():
    relevance, mask, brain = setting()
    # Summed over channels 2 2 1 8; the 8 lies outside tumor and brain.
    assert tumor_lrp_score(relevance, mask, brain).tolist() == [pytest.approx(3 / 5)]
    by_channel = tumor_lrp_score(relevance, mask, brain, positive="channel")
    assert by_channel.tolist() == [pytest.approx(4 / 7)]
    area = tumor_lrp_score(relevance, mask, brain, area_normalized=True)
    assert area.tolist() == [pytest.approx(1.5 / 3.5)]
    assert chance_level(mask, brain).tolist() == [pytest.approx(2 / 3)]


def test_uniform_relevance_scores_the_chance_level():
    mask, brain = torch.rand(5, 6, 7) > 0.7, torch.rand(5, 6, 7) > 0.3
    score = tumor_lrp_score(torch.ones(5, 3, 6, 7), mask, brain)
    torch.testing.assert_close(score, chance_level(mask, brain))
    half = tumor_lrp_score(torch.ones(5, 3, 6, 7), mask, brain, area_normalized=True)
    torch.testing.assert_close(half, torch.full((5,), 0.5))


@pytest.mark.parametrize("area", [False, True])
@pytest.mark.parametrize("case", ["no tumor", "no brain", "nothing positive"])
def test_nothing_to_score_is_zero_with_a_finite_gradient(case, area):
    relevance, mask, brain = setting()
    relevance = -relevance.abs() if case == "nothing positive" else relevance.clone()
    relevance.requires_grad_()
    if case != "nothing positive":
        mask = torch.zeros_like(mask)
    if case == "no brain":
        brain = torch.zeros_like(brain)
    score = tumor_lrp_score(relevance, mask, brain, area_normalized=area)
    assert score.tolist() == [0.0]
    score.sum().backward()
    assert relevance.grad.isfinite().all()


def test_three_dimensions_and_a_channel_dimension():
    relevance, mask, brain = torch.rand(2, 1, 3, 4, 5), torch.zeros(2, 1, 3, 4, 5), None
    mask[:, :, 0] = 1
    brain = torch.ones_like(mask)
    want = relevance[:, 0, 0].sum((1, 2)) / relevance.sum((1, 2, 3, 4))
    torch.testing.assert_close(tumor_lrp_score(relevance, mask, brain), want)
    torch.testing.assert_close(chance_level(mask, brain), torch.full((2,), 1 / 3))


def test_what_does_not_fit():
    relevance, mask, brain = setting()
    with pytest.raises(ValueError, match="does not fit"):
        tumor_lrp_score(relevance, mask[:, :1], brain)
    with pytest.raises(ValueError, match="'sum' or 'channel'"):
        tumor_lrp_score(relevance, mask, brain, positive="both")
