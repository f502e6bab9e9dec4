"""Similar cases on a page with no kernel: pointed at, picked, and seen to change."""

import json

import numpy as np
import pytest

from tests.conftest import ROOT, SmallBook

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]

PAIR = """
import numpy as np
from lrpbook_lib.explore import pair_explorer
between = np.random.default_rng(0).normal(size=(3, 3, 3, 3))
images = [np.random.default_rng(i).random((12, 12)) for i in (1, 2)]
tumor = np.zeros((12, 12), np.uint8)
pair_explorer(images, [tumor, tumor], between, ["one", "other"], "A pair")
"""

BROWSER = """
from tests.similar.small import LAYERS, cohort, small_net
from lrpbook_lib.explore import NeighborBrowser
from lrpbook_lib.similar import SimilarCases
atlas, queries = cohort(12), cohort(2, seed=3, first=80)
cases = SimilarCases(small_net(), LAYERS, k=3).fit(atlas)
NeighborBrowser(cases, queries, atlas, prepared=[0, 4], blocks=4, count=5)
"""


@pytest.fixture(scope="module")
def pair_page(tmp_path_factory):
    book = SmallBook(tmp_path_factory.mktemp("pairs") / "checkout")
    book.chapter("page", "#md Pairs", PAIR, BROWSER)
    done = book.build(PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    return book.html / "page.html"


def test_a_block_under_the_pointer_lights_up_its_partners(pair_page, open_page):
    page, said = open_page(pair_page.as_uri())
    plot = page.locator(".plotly-graph-div")
    plot.scroll_into_view_if_needed()
    shown = """() => document.querySelector('.plotly-graph-div').data
        .map((each) => each.z.map((row) => Array.from(row)))"""
    rest = page.evaluate(shown)
    matrix = np.random.default_rng(0).normal(size=(3,) * 4).reshape(9, 9)
    boxes = page.evaluate(
        """() => { const plot = document.querySelector('.plotly-graph-div');
        const {xaxis, yaxis} = plot._fullLayout;
        const at = plot.getBoundingClientRect();
        return plot.data.map((t) => [at.x + xaxis._offset + xaxis.l2p(t.x[1]),
          at.y + yaxis._offset + yaxis.l2p(t.y[2])]); }"""
    )
    for side, (x, y) in enumerate(boxes):  # row 2, column 1: block 7
        page.mouse.move(x, y)
        page.wait_for_function(f"before => JSON.stringify(({shown})()) !== before",
                               arg=json.dumps(rest, separators=(",", ":")))  # fmt: skip
        page.wait_for_timeout(150)
        lit = np.array(page.evaluate(shown))
        want = (matrix[7] if side == 0 else matrix[:, 7]).reshape(3, 3)
        np.testing.assert_allclose(lit[1 - side], want / np.abs(want).max(), atol=2e-3)
        assert lit[side].sum() == lit[side][2, 1] == 1
        page.mouse.move(2, 2)
        page.wait_for_timeout(300)
        assert page.evaluate(shown) == rest
    assert said.all() == []


def test_the_neighbor_browser_answers_without_a_kernel(pair_page, open_page):
    page, said = open_page(pair_page.as_uri())
    browser = page.locator(".lrpbook-neighbors")
    query, layer = browser.locator("select").all()
    assert browser.locator("button").count() == 3
    assert browser.locator("svg path").count() == 5
    assert layer.input_value() == "classifier.2"
    before = browser.locator("svg").inner_html()
    layer.select_option("features.2")
    assert browser.locator("svg").inner_html() != before
    browser.locator("button").nth(2).click()
    assert browser.locator("button").nth(2).get_attribute("aria-pressed") == "true"
    query.select_option("4")
    name = query.locator("option:checked").inner_text()
    assert "P81" in name and "kernel" not in name
    assert name in browser.locator(".support").last.inner_text()
    # A block at the end of a curve keeps its own curves and dims the others.
    block = browser.locator("svg .block").first
    block.hover()
    dimmed = browser.locator("svg path.dimmed").count()
    assert 0 < dimmed < 5
    query.select_option("1")
    assert "With a kernel" in browser.inner_text()
    assert "needs a kernel" in query.locator("option:checked").inner_text()
    assert said.all() == []
