"""Regions that hold a share of the relevance."""

import numpy as np
import pytest

from lrpbook_lib.explore import densest_region, relevance_contours


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_the_region_is_the_smallest_that_holds_the_share(share):
    heat = np.random.default_rng(0).normal(size=(12, 9))
    region = densest_region(heat, share)
    positive = np.clip(heat, 0, None)
    held = positive[region].sum() / positive.sum()
    assert held >= share - 1e-9
    # Without its weakest pixel it would no longer.
    less = region & (positive > positive[region].min())
    assert positive[less].sum() / positive.sum() < share
    assert densest_region(-np.abs(heat), share).sum() == 0


def test_contours_of_every_patient_and_model():
    y, x = np.indices((20, 20))
    head = (x - 10) ** 2 + (y - 10) ** 2 < 64
    lesion = (x - 6) ** 2 + (y - 8) ** 2 < 6
    heats = {"plain": [head * 1.0, head * -1.0], "guided": [lesion * 1.0] * 2}
    fig = relevance_contours([head] * 2, [lesion, 0 * lesion], heats, ["a", "b"])
    assert len(fig.axes) == 4 and fig.axes[0].get_title() == "a"
    assert fig.axes[2].get_ylabel() == "guided"
    with pytest.raises(ValueError, match="shorter"):
        relevance_contours([head], [lesion], heats, ["a", "b"])
