"""Images, heatmaps and outlines, side by side."""

import numpy as np
import torch

from lrpbook_lib.explore import Panel, before_after, heatmap_panels, panels


def test_one_panel_a_map_on_its_own_symmetric_scale():
    maps = {"weak": torch.randn(6, 6) * 1e-3, "strong": torch.randn(6, 6) * 1e3}
    fig = heatmap_panels(torch.rand(6, 6), maps, mask=torch.eye(6) > 0)
    titles = [axis.get_title() for axis in fig.axes]
    assert titles[:3] == ["image", "weak", "strong"]
    for axis in fig.axes[1:3]:
        low, high = axis.images[-1].get_clim()
        assert low == -high


def test_an_empty_map_does_not_fail():
    fig = heatmap_panels(torch.zeros(4, 4), {"nothing": torch.zeros(4, 4)})
    assert not fig.axes[1].images[-1].get_array().any()


def test_before_after_has_a_row_a_model_on_symmetric_scales_with_the_tumor_outlined():
    rng = np.random.default_rng(0)
    images, tumor = rng.random((3, 8, 8)), np.zeros((3, 8, 8), int)
    tumor[:2, 2:5, 2:5] = 4  # the last slice has none
    maps = {"plain": rng.normal(size=(3, 8, 8)) * 1e-3, "guided": np.zeros((3, 8, 8))}
    fig = before_after(images, tumor, maps, ["LGG", "HGG"])
    grid = np.array(fig.axes).reshape(3, 3)
    assert [axis.get_ylabel() for axis in grid[:, 0]] == ["image", "plain", "guided"]
    assert [axis.get_title() for axis in grid[0]] == ["LGG", "HGG", ""]
    assert all(len(axis.images) == 1 for axis in grid[0])
    for axis in grid[1:].flat:
        _, heat = axis.images
        low, high = heat.get_clim()
        assert low == -high != 0
    outlined = [[bool(axis.collections) for axis in row] for row in grid]
    assert outlined == [[True, True, False]] * 3


def test_maps_wrap_and_what_a_row_lacks_is_blank():
    maps = {str(n): torch.randn(5, 5) for n in range(4)}
    axes = heatmap_panels(torch.rand(5, 5), maps, columns=3).axes
    assert [axis.get_title() for axis in axes] == ["image", "0", "1", "2", "3", ""]
    assert not axes[-1].axison and axes[-2].axison


def test_one_limit_makes_maps_comparable_and_a_span_makes_images():
    heat = np.array([[1.0, -2.0], [0.0, 4.0]])
    image = np.array([[0.0, 1.0], [2.0, 4.0]])
    (axis,) = panels([[Panel(image, heat, limit=4, span=(0, 8))]]).axes
    gray, drawn = (np.asarray(each.get_array()) for each in axis.images)
    np.testing.assert_allclose(drawn, heat / 4)
    np.testing.assert_allclose(gray, [[0, 32], [64, 128]])


def test_the_strongest_relevance_is_brightest_and_its_sign_is_a_hue():
    heat = np.array([[-1.0, -0.5, 0.5, 1.0]])
    (axis,) = panels([[Panel(heat=heat, limit=1)]]).axes
    against, weak, orange, strong = axis.images[0].to_rgba(heat)[0, :, :3]
    assert against[2] > against[0] and weak[2] > weak[0]  # blue
    assert orange[0] > orange[2] and strong[0] > strong[2]
    assert strong.sum() > orange.sum() and against.sum() > weak.sum()
