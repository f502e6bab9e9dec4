"""Every page of the book, opened in a browser whose network is off."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from book_tools.chapters import read_chapters, toc_files
from book_tools.layout import Layout
from book_tools.scripts import MATH
from tests.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]
PAGES = [*toc_files(Layout(ROOT, "smoke")), "search", "genindex"]
PAGE_BUDGET = 2_000_000  # bytes of a page, beside the shared scripts
SERIOUS = {"serious", "critical"}


@pytest.mark.parametrize("name", PAGES)
def test_page_over_http(name, served, open_page):
    page, said = open_page(f"{served}/{name}.html")
    assert said.all() == []

    unnamed = page.evaluate(
        """() => [...document.images]
          .filter((image) => !image.alt.trim() || image.src.includes(image.alt))
          .map((image) => image.src)"""
    )
    assert unnamed == [], "pictures without a text"
    assert page.evaluate(
        "() => [...document.images].every((image) => image.naturalWidth > 0)"
    )

    found = [
        f"{each['id']}: {node['html'][:120]}"
        for each in Axe().run(page).response["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]
    assert found == []


@pytest.mark.parametrize("name", PAGES)
def test_page_from_a_file_on_a_phone(name, smoke_book, open_page):
    address = (smoke_book.html / f"{name}.html").as_uri()
    page, said = open_page(address, width=375, height=740)
    assert said.all() == []
    widths = page.evaluate(
        "() => [document.documentElement.scrollWidth, window.innerWidth]"
    )
    assert widths[0] <= widths[1], "the page scrolls sideways"


@pytest.mark.parametrize("name", PAGES)
def test_page_is_light(name, smoke_book):
    assert (smoke_book.html / f"{name}.html").stat().st_size < PAGE_BUDGET


@pytest.mark.skipif(not MATH.is_cached(), reason="MathJax could not be fetched")
def test_equations_are_set(served, open_page):
    page, _ = open_page(f"{served}/04_lrp_from_scratch.html")
    unset = ".math:not(:has(mjx-container))"
    assert page.locator(".math").count() > page.locator(unset).count() == 0


def test_one_copy_of_plotly_a_site(smoke_book):
    copies = [
        file
        for file in smoke_book.html.rglob("*")
        if file.suffix in {".js", ".html"} and file.stat().st_size > 3_000_000
        if "plotly.js v" in file.read_text(encoding="utf-8")[:2000]
    ]
    assert [file.name for file in copies] == ["plotly.min.js"]


def test_every_internal_link_leads_somewhere(smoke_book):
    broken = []
    for page in smoke_book.html.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r'<a[^>]+href="([^"]+)"', text):
            if re.match(r"[a-z]+:|//", link) or link == "#":
                continue
            target, _, anchor = link.partition("#")
            file = (page.parent / target.partition("?")[0]) if target else page
            if not file.is_file():
                broken.append(f"{page.name} -> {link}")
            elif anchor and file.suffix == ".html":
                there = file.read_text(encoding="utf-8")
                if f'id="{anchor}"' not in there and f'name="{anchor}"' not in there:
                    broken.append(f"{page.name} -> {link}")
    assert broken == []


def test_launch_buttons_open_source_notebooks(smoke_book):
    address = smoke_book.address.removeprefix("https://github.com/")
    for chapter in read_chapters(smoke_book):
        text = (smoke_book.html / f"{chapter.name}.html").read_text()
        found = set(
            re.findall(r'https://colab\.research\.google\.com/github/([^"]+)', text)
        )
        here = f"{address}/blob/main/book/{chapter.name}.ipynb"
        assert found == (set() if chapter.needs_checkout else {here})
        assert 'rel="edit"' not in text
        assert f"{smoke_book.address}/edit/main/book/{chapter.name}.ipynb" in text


def test_search_finds_without_network(smoke_book, open_page):
    address = (smoke_book.html / "search.html").as_uri()
    page, said = open_page(f"{address}?q=glioblastoma")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    hits = page.eval_on_selector_all(
        "#search-results li a", "links => links.map((link) => link.textContent)"
    )
    assert "Gliomas on MRI" in hits
    assert said.all() == []


def test_a_slider_over_frames_changes_the_picture(served, open_page):
    page, said = open_page(f"{served}/01_gliomas_on_mri.html")
    plot = page.locator(".plotly-graph-div").first
    plot.scroll_into_view_if_needed()
    bars = "() => document.querySelector('.plotly-graph-div')._fullData[0].x[0]"
    before = page.evaluate(bars)
    picture = plot.screenshot()
    rail = plot.locator(".slider-rail-touch-rect").first.bounding_box()
    page.mouse.click(rail["x"] + rail["width"] * 0.9, rail["y"] + rail["height"] / 2)
    page.wait_for_function(f"before => ({bars})() !== before", arg=before)
    assert page.evaluate(bars) < before  # white matter fades with the echo time
    assert plot.screenshot() != picture
    assert said.all() == []


def test_the_volume_viewer_moves_without_a_kernel(served, open_page):
    page, said = open_page(f"{served}/01_gliomas_on_mri.html")
    planes = page.locator("canvas.lrpx-live")
    planes.first.scroll_into_view_if_needed()
    before = [planes.nth(i).screenshot() for i in range(3)]
    box = planes.first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.4)
    page.wait_for_timeout(300)
    after = [planes.nth(i).screenshot() for i in range(3)]
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert said.all() == []


def test_the_run_page_tells_of_every_chapter(smoke_book):
    text = (smoke_book.html / "how_this_book_was_run.html").read_text()
    for chapter in (ROOT / "book").glob("*.ipynb"):
        assert f'href="{chapter.stem}.html"' in text
    for word in ("smoke", "CPU", "seconds", "commit", "torch", "library"):
        assert word in text
