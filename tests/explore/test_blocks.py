"""Links between two slices: which are drawn, and what lights up under the pointer."""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np

from lrpbook_lib.explore import pair_explorer, pair_figure, strongest_links
from lrpbook_lib.explore.palette import SIGNS


def relation(side=3, seed=0):
    return np.random.default_rng(seed).normal(size=(side,) * 4)


def slices():
    rng = np.random.default_rng(1)
    tumor = np.zeros((12, 12), np.uint8)
    tumor[3:6, 3:6] = 1
    return [rng.random((12, 12)), rng.random((12, 12))], [tumor, tumor]


def test_the_strongest_links_come_first_whatever_their_sign():
    between = relation()
    links = strongest_links(between, 7)
    assert len(links) == 7
    want = np.sort(np.abs(between), axis=None)[::-1][:7]
    np.testing.assert_allclose([abs(link.value) for link in links], want)
    for link in links:
        assert between[(*link.block, *link.partner)] == link.value
    assert strongest_links(np.zeros((2, 2, 2, 2))) == []


def test_the_figure_draws_a_curve_a_link_from_block_to_block():
    between = np.zeros((3, 3, 3, 3))
    between[0, 1, 2, 0] = 4.0
    between[2, 2, 1, 1] = -1.0
    fig = pair_figure(*slices(), between, ["one", "other"])
    (axis,) = fig.axes
    curves = axis.patches
    assert len(curves) == 2
    weak, strong = curves  # the strongest is drawn last, on top
    # Blocks of 4 pixels; the second slice starts 1.6 slices to the right.
    np.testing.assert_allclose(
        strong.get_path().vertices[[0, -1]], [[6, 2], [21.2, 10]]
    )
    colors = [plt.matplotlib.colors.to_hex(c.get_edgecolor()) for c in (strong, weak)]
    assert colors == [SIGNS[1].lower(), SIGNS[-1].lower()]
    assert strong.get_linewidth() > weak.get_linewidth()
    (legend,) = fig.legends
    assert len(legend.get_texts()) == 2
    assert legend.get_title().get_text() == "the 2 strongest links, 100% of all"
    plt.close(fig)
    plt.close(pair_figure(*slices(), np.zeros((3,) * 4), ["one", "other"]))


def test_the_explorer_carries_all_links_and_a_text():
    between = relation()
    fig = pair_explorer(*slices(), between, ["one", "other"], "A pair")
    content = json.loads(fig.to_json())
    held = np.array(content["layout"]["meta"]["between"])
    matrix = between.reshape(9, 9)
    np.testing.assert_allclose(held, 1000 * matrix / np.abs(matrix).max(), atol=0.5)
    left, right = (np.array(trace["z"]) for trace in content["data"])
    rows, columns = matrix.sum(1).reshape(3, 3), matrix.sum(0).reshape(3, 3)
    np.testing.assert_allclose(left, rows / np.abs(rows).max(), atol=1e-3)
    np.testing.assert_allclose(right, columns / np.abs(columns).max(), atol=1e-3)
    assert "one and other side by side" in content["layout"]["meta"]["alt"]


def test_figures_do_not_need_torch():
    code = "import sys, lrpbook_lib.explore; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
