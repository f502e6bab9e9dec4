"""Widgets on a page with no kernel: moved by hand, and seen to change."""

import pytest

from book_tools import scripts
from tests.conftest import SmallBook

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]

COUNTER = '''
import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    _esm = """
    function render({ model, el }) {
      el.innerHTML = "<button class='counter'></button>";
      const show = () => { el.firstChild.textContent = `count ${model.get("count")}`; };
      el.firstChild.onclick = () => model.set("count", model.get("count") + 1);
      model.on("change:count", show);
      show();
    }
    export default { render };"""
    count = traitlets.Int(3).tag(sync=True)
Counter()
'''
LINKED = """
import ipywidgets as w
slider = w.IntSlider(value=2, max=9, description="slider")
text = w.IntText(value=2, description="text")
play = w.Play(value=0, max=50, interval=50)
shown = w.IntText(value=0, description="frame")
w.jslink((slider, "value"), (text, "value"))
w.jslink((play, "value"), (shown, "value"))
w.VBox([slider, text, play, shown, w.HTMLMath(value="$a_1$")])
"""


@pytest.fixture(scope="module")
def widget_page(tmp_path_factory):
    book = SmallBook(tmp_path_factory.mktemp("widgets") / "checkout")
    plot = "import plotly.express as px\npx.bar(x=[1, 2], y=[1, 2], title='bars')"
    book.chapter("page", "#md Math: $x_1^2$", COUNTER, LINKED, plot)
    done = book.build()
    assert done.returncode == 0, done.stderr
    return book.html / "page.html"


@pytest.mark.skipif(
    not (scripts.MATH.is_cached() and scripts.widgets_move()),
    reason="MathJax or the widget manager could not be fetched",
)
def test_widgets_live_without_a_kernel(widget_page, open_page):
    page, said = open_page(widget_page.as_uri())
    # anywidget: its own script runs, its state answers.
    button = page.locator("button.counter")
    assert button.inner_text() == "count 3"
    button.click()
    assert button.inner_text() == "count 4"
    # jslink: one widget moves another.
    handle = page.locator(".noUi-handle").first
    handle.focus()
    before = page.locator("input[type=number]").first.input_value()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert int(page.locator("input[type=number]").first.input_value()) == 4
    assert before == "2"
    # Play: counts by itself.
    page.locator(".widget-play button").first.click()
    frame = page.locator("input[type=number]").nth(1)
    page.wait_for_timeout(800)
    assert int(frame.input_value()) > 2
    # Math inside a widget and beside it, and a plotly figure on the same page.
    assert page.locator("mjx-container").count() >= 2
    assert page.locator(".plotly-graph-div .main-svg").count() > 0
    assert said.all() == []


def test_a_widget_page_is_light(widget_page):
    assert widget_page.stat().st_size < 2_000_000


VOLUME = """
import numpy as np
from lrpbook_lib.explore import VolumeExplorer
VolumeExplorer(np.random.default_rng(0).random((8, 8, 8)))
"""


def test_a_page_without_scripts_of_others_shows_all_the_same(tmp_path, open_page):
    book = SmallBook(tmp_path / "checkout")
    book.chapter("page", "#md Math: $x_1^2$", COUNTER, VOLUME)
    nowhere = "http://127.0.0.1:9"
    cache, path = str(tmp_path / "cache"), str(tmp_path)  # and no npm on it
    done = book.build(LRPBOOK_CACHE=cache, PATH=path, https_proxy=nowhere)
    assert done.returncode == 0, done.stderr
    assert "mathjax 3" in done.stderr and "stay as TeX without it" in done.stderr
    assert "still pictures without it" in done.stderr
    page, said = open_page((book.html / "page.html").as_uri())
    assert page.locator(".math").inner_text() == r"\(x_1^2\)"
    picture = page.get_by_role("img", name="Three planes")
    assert picture.is_visible()
    assert page.get_by_text("This widget is still").count() == 2
    assert picture.evaluate("image => image.naturalWidth") > 100
    assert said.all() == []
