"""What every part of the test suite shares."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Two workers on two cores: one thread each beats both fighting for both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)


def pytest_collection_modifyitems(items):
    without = {
        "browser": CHROMIUM is None and "no Chromium: apt-get install chromium",
        "gpu": shutil.which("nvidia-smi") is None and "no CUDA device",
    }
    for item in items:
        for marker, why in without.items():
            if why and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def root():
    """This checkout."""
    return ROOT


@pytest.fixture(scope="session")
def chromium():
    """The one browser of this process."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Debian's own build; as root, Chromium has no sandbox.
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def run_book(root, *arguments, **variables):
    """Call the command that the make targets call, on any checkout."""
    return subprocess.run(
        [sys.executable, "-m", "book_tools", "--root", str(root), *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def notebook(*cells):
    """A source notebook of code, ``("tag", code)`` and markdown after ``#md``."""
    made = []
    for number, cell in enumerate(cells):
        tag, source = cell if isinstance(cell, tuple) else (None, cell)
        kind = "markdown" if source.startswith("#md") else "code"
        source = source.removeprefix("#md").lstrip() if kind == "markdown" else source
        made.append(
            {
                "cell_type": kind,
                "id": f"cell-{number}",
                "metadata": {"tags": [tag]} if tag else {},
                "source": source.splitlines(keepends=True),
                **({"outputs": [], "execution_count": None} if kind == "code" else {}),
            }
        )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


class SmallBook:
    """A checkout with this project's settings and library, and chapters of a test's."""

    def __init__(self, root: Path):
        self.root = root
        (root / "book").mkdir(parents=True)
        shutil.copy(ROOT / "_config.yml", root)
        (root / "lrpbook_lib").symlink_to(ROOT / "lrpbook_lib")
        shutil.copytree(ROOT / "book" / "assets", root / "book" / "assets")
        (root / "book" / "references.bib").write_text("")
        (root / "book" / "index.md").write_text("# Index\n\nA small book.\n")
        self.html = root / "_build" / "html"
        self.names: list[str] = []

    def chapter(self, name, *cells, parameters="", standard=True):
        """Write a chapter, by default with the cells that every chapter starts with."""
        from book_tools.chapters import set_up
        from book_tools.layout import Layout

        if name not in self.names:
            self.names.append(name)
            chapters = "".join(f"  - file: {each}\n" for each in self.names)
            (self.root / "book" / "_toc.yml").write_text(
                f"format: jb-book\nroot: index\nchapters:\n{chapters}"
            )
        if standard:
            setup = set_up(Layout(self.root).address)
            cells = (
                f"#md # {name}",
                ("setup", setup),
                ("parameters", f'profile = "book"\nseed = 0\n{parameters}'),
                "assert profile and seed is not None",
                *cells,
            )
        path = self.root / "book" / f"{name}.ipynb"
        path.write_text(json.dumps(notebook(*cells)))
        return path

    def build(self, *arguments, **variables):
        return run_book(self.root, "build", *arguments, **variables)


@pytest.fixture
def small_book(tmp_path):
    """An empty small book; add chapters, then build."""
    return SmallBook(tmp_path / "checkout")
