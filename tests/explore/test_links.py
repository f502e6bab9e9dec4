"""Links between two slices: which are drawn, and what lights up under the pointer."""

import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest

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


def test_the_browser_computes_with_a_kernel_and_shows_the_right_neighbors():
    import torch

    from lrpbook_lib.explore import NeighborBrowser
    from lrpbook_lib.similar import SimilarCases, block_similarity
    from tests.similar.small import LAYERS, cohort, small_net

    atlas, queries = cohort(12), cohort(2, seed=3, first=80)
    cases = SimilarCases(small_net(), LAYERS, k=3).fit(atlas)
    browser = NeighborBrowser(cases, queries, atlas, [0], channel="c0", blocks=4)
    assert set(browser.answers) == {f"0/{layer}" for layer in LAYERS}
    browser.query = 5
    assert set(browser.answers) == {f"{q}/{layer}" for q in (0, 5) for layer in LAYERS}
    rows = cases.query(queries).neighbors["features.2"][5]
    shown = browser.answers["5/features.2"]["neighbors"]
    assert [each["picture"] for each in shown] == [f"a{i}" for i in rows]
    assert all(each["picture"] in browser.pictures for each in shown)
    for each, i in zip(shown, rows, strict=True):
        assert each["grade"] == (atlas.labels[i] == queries.labels[5])
        assert each["site"] == (atlas.site[i] == queries.site[5])
        assert atlas.patient[i] in each["name"]
    between = block_similarity(
        cases.explainers["features.2"],
        torch.tensor(queries.images[5]),
        torch.tensor(atlas.images[rows[:1]]),
        4,
    )
    row, column, other_row, other_column, value = shown[0]["links"][0]
    assert (
        value == 1
        and between.abs().max()
        == between[0, row, column, other_row, other_column].abs()
    )
    with pytest.raises(ValueError, match="there are c0, c1"):
        NeighborBrowser(cases, queries, atlas, [0], channel="flair")
    with pytest.raises(ValueError, match="prepared is empty"):
        NeighborBrowser(cases, queries, atlas, [])


def test_figures_do_not_need_torch():
    code = "import sys, lrpbook_lib.explore; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
