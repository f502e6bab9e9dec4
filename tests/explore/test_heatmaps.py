"""Panels of heatmaps."""

import matplotlib.pyplot as plt
import torch

from lrpbook_lib.explore.heatmaps import heatmap_panels


def test_one_panel_a_map_on_its_own_symmetric_scale():
    maps = {"weak": torch.randn(6, 6) * 1e-3, "strong": torch.randn(6, 6) * 1e3}
    fig = heatmap_panels(torch.rand(6, 6), maps, mask=torch.eye(6) > 0)
    titles = [axis.get_title() for axis in fig.axes]
    assert titles[:3] == ["image", "weak", "strong"]
    for axis in fig.axes[1:3]:
        low, high = axis.images[0].get_clim()
        assert low == -high
    plt.close(fig)


def test_an_empty_map_does_not_fail():
    plt.close(heatmap_panels(torch.zeros(4, 4), {"nothing": torch.zeros(4, 4)}))
