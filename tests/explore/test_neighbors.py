"""The browser of similar cases: what it computes, says, draws and shows."""

import pytest
import torch

from lrpbook_lib.explore import NeighborBrowser
from lrpbook_lib.similar import SimilarCases, block_similarity
from tests.similar.small import LAYERS, cohort, small_net


def browser(prepared):
    atlas, queries = cohort(12), cohort(2, seed=3, first=80)
    cases = SimilarCases(small_net(), LAYERS, k=3).fit(atlas)
    return NeighborBrowser(cases, queries, atlas, prepared, blocks=4)


def test_the_browser_computes_with_a_kernel_and_shows_the_right_neighbors():
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


def test_it_says_and_draws_the_query_and_its_neighbors():
    made = browser([0])
    near = made.answers["0/classifier.2"]["neighbors"]
    assert "P80" in made.alt()
    same = sum(each["grade"] for each in near)
    assert f"3 neighbors at classifier.2, {same} share its grade" in made.alt()
    titles = [axis.get_title() for axis in made.figure().axes]
    assert ["P80" in titles[0], len(titles)] == [True, 4]
    for title, each in zip(titles[1:], near, strict=True):
        assert title.replace("\n", ", ") == each["name"]
    data, metadata = made._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"] == made.alt()


@pytest.mark.browser
def test_a_neighbor_is_picked_and_a_layer_changed_by_keyboard(tmp_path, open_alone):
    path = browser([0, 4]).export(tmp_path / "neighbors.html")
    page, said = open_alone(path, width=375)
    neighbors = page.get_by_role("button")
    assert neighbors.count() == 3
    neighbors.nth(1).focus()
    page.keyboard.press("Enter")
    assert neighbors.nth(1).get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.ariaPressed") == "true"
    before = page.locator("svg").get_attribute("aria-label")
    page.get_by_label("Layer").select_option("features.2")
    assert neighbors.nth(0).get_attribute("aria-pressed") == "true"
    assert page.locator("svg").get_attribute("aria-label") != before
    page.get_by_label("Query").select_option("4")
    assert "P81" in page.locator(".support").last.inner_text()
    page.get_by_label("Query").select_option("1")
    assert "With a kernel" in page.locator(".lrpbook-neighbors").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert said == []
