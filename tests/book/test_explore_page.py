"""The explore page as a reader meets it: no kernel, no network, a hand on it."""

import base64
import gzip
import json

import numpy as np
import pytest
import torch

from lrpbook_lib.explore.runtime import RUNTIME
from lrpbook_lib.lrp import COMPOSITES, Explainer
from lrpbook_lib.lrp.exports import Exportable
from lrpbook_lib.models import GliomaCNN

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]
READ = """() => {
  const { lrpx } = document.querySelector('.lrpx[data-engine]');
  const { answer, model } = lrpx.panels[0];
  return { logits: [...answer.logits], relevance: [...(answer.relevance ?? [])], model,
    target: answer.target, image: [...lrpx.image], composite: lrpx.get('composite'),
    epsilon: lrpx.get('epsilon'), gamma: lrpx.get('gamma'), n: lrpx.n };
}"""


@pytest.fixture(scope="module")
def networks(smoke_book):
    """The page's networks, rebuilt from the weights in the executed notebook."""
    executed = json.loads((smoke_book.executed / "explore.ipynb").read_text())
    (widgets,) = executed["metadata"]["widgets"].values()
    found = {}
    for widget in widgets["state"].values():
        for buffer in widget.get("buffers", ()):
            kind, _, name = buffer["path"][-1].partition(":")
            if kind != "weights":
                continue
            packed = gzip.decompress(base64.b64decode(buffer["data"]))
            flat = torch.frombuffer(bytearray(packed), dtype=torch.float32)
            model = GliomaCNN(size=64).eval()
            torch.nn.utils.vector_to_parameters(flat, model.parameters())
            found[name] = model
    return found


@pytest.fixture
def live(served, open_page):
    if not RUNTIME.is_cached():
        pytest.skip("onnxruntime-web could not be fetched")
    page, said = open_page(f"{served}/explore.html")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.locator(".lrpx-badge").inner_text() == "stored heatmaps"
    canvas = page.locator("canvas.lrpx-live").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    assert not [url for url in asked if "/shared/" in url], "loaded before a touch"
    canvas.click()
    page.wait_for_selector(".lrpx[data-engine=page]", timeout=60_000)
    settled(page)
    return page, said


def settled(page):
    page.wait_for_timeout(60)
    page.wait_for_function(
        "() => document.querySelector('.lrpx[data-engine]')"
        ".getAttribute('aria-busy') === 'false'"
    )


def agrees(networks, read, least=0.995):
    """By correlation: where pooled pixels nearly tie, engines may differ."""
    rules = COMPOSITES[read["composite"]]
    explainer = Explainer(networks[read["model"]], rules, start="one")
    x = torch.tensor(read["image"]).reshape(1, 3, 64, 64)
    knobs = [torch.tensor(read[name]) for name in ("epsilon", "gamma")]
    with torch.no_grad():
        logits, heat = Exportable(explainer)(x, torch.tensor([read["target"]]), *knobs)
    np.testing.assert_allclose(read["logits"], logits[0], rtol=1e-3, atol=1e-4)
    pair = np.stack([heat.ravel(), read["relevance"]])
    assert np.corrcoef(pair)[0, 1] > least


def test_the_page_agrees_with_python_under_every_control(live, networks):
    page, said = live
    assert set(networks) == {"plain", "guided"}
    agrees(networks, page.evaluate(READ))
    seen = {tuple(page.evaluate(READ)["relevance"])}
    actions = [
        lambda: page.get_by_label("Composite of rules").select_option("epsilon-gamma"),
        lambda: (page.get_by_label("Gamma").focus(), page.keyboard.press("PageUp")),
        lambda: page.get_by_label("Patient", exact=True).select_option(index=2),
        lambda: page.get_by_label("Model").first.select_option("guided"),
        lambda: page.get_by_role("button", name="Erase the tumor").click(),
    ]
    for act in actions:
        act()
        settled(page)
        read = page.evaluate(READ)
        agrees(networks, read, least=0.98 if act is actions[-1] else 0.995)
        assert tuple(read["relevance"]) not in seen
        seen.add(tuple(read["relevance"]))
    assert said.all() == []


def test_a_move_is_answered_at_once(live):
    page, _ = live
    times = []
    for i in range(12):
        page.evaluate(
            "g => { const { lrpx } = document.querySelector('.lrpx[data-engine]');"
            " lrpx.set('epsilon', g); return lrpx.request(); }",
            1e-4 * (i + 1),
        )
        settled(page)
        times.append(
            page.evaluate(
                "() => +document.querySelector('.lrpx[data-engine]')"
                ".dataset.milliseconds"
            )
        )
    # Two models each time; the bound is loose for a machine that does other things.
    assert min(times) < 200, times


def test_a_row_of_the_table_opens_its_slice(live):
    page, said = live
    rows = page.locator(".lrpx-table tbody tr")
    assert rows.count() > 5
    name = rows.nth(4).locator("th").inner_text()
    rows.nth(4).locator("button").click()
    settled(page)
    chosen = page.get_by_label("Patient", exact=True).input_value()
    assert chosen == name
    assert said.all() == []


def test_weights_and_runtime_are_stored_once(smoke_book):
    shared = list((smoke_book.html / "_static" / "shared").glob("*.js"))
    if not RUNTIME.is_cached():
        pytest.skip("onnxruntime-web could not be fetched")
    large = [file for file in shared if file.stat().st_size > 4_000_000]
    assert len(large) == 1, "one runtime for the whole site"
    page = (smoke_book.html / "explore.html").read_text()
    assert len(page) < 1_000_000
    named = [file for file in shared if file.stem in page]
    assert len(named) >= 6  # two networks, two programs, the runtime's two files


def test_print_and_readers_without_scripts_see_a_figure(smoke_book, chromium):
    address = (smoke_book.html / "explore.html").as_uri()
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    pictures = page.locator("img.lrpx-paper")
    assert pictures.count() == 2
    assert pictures.first.is_visible()
    assert "Mean tumor score" in pictures.first.get_attribute("alt")
    context.close()
    context = chromium.new_context()
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector(".lrpx[data-engine]")
    assert not page.locator("img.lrpx-paper").first.is_visible()
    page.emulate_media(media="print")
    assert page.locator("img.lrpx-paper").first.is_visible()
    assert not page.locator(".lrpx[data-engine]").is_visible()
    context.close()
