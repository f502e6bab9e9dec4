"""From executed chapters to pages: stage a copy, render it strictly, swap it in."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from book_tools import fingerprint, scripts
from book_tools.chapters import Chapter
from book_tools.execute import kept_run
from book_tools.layout import TOOLS, BookError, Layout
from book_tools.staging import stage
from lrpbook_lib.files import digest

RENDERED = ".rendered.json"


def wanted_pages(layout: Layout, chapters: list[Chapter]) -> str:
    """A hash of everything that the rendered pages are made from."""
    runs = [kept[1].key for c in chapters if (kept := kept_run(layout, c))]
    sources = [file for file in layout.source.rglob("*") if file.is_file()]
    return digest(
        [
            runs,
            fingerprint.hash_files([*sources, layout.config], layout.root),
            fingerprint.hash_files(layout.library.rglob("*.py"), layout.root),
            fingerprint.hash_files(TOOLS.rglob("*.py"), TOOLS),
            [package.is_cached() for package in scripts.PACKAGES],
        ]
    )


def is_rendered(layout: Layout, wanted: str) -> bool:
    """Whether the book on disk is the one that is wanted."""
    try:
        return json.loads((layout.html / RENDERED).read_text())["pages"] == wanted
    except (OSError, ValueError, KeyError):
        return False


def render(layout: Layout, chapters: list[Chapter]) -> bool:
    """Render the book unless it is up to date; the last good one stays until then."""
    scripts.fetch()
    wanted = wanted_pages(layout, chapters)
    if is_rendered(layout, wanted):
        return False
    stage(layout, chapters)
    workshop = layout.build / "rendering"
    shutil.rmtree(workshop, ignore_errors=True)
    _jupyter_book(layout, workshop)
    fresh = workshop / "_build" / "html"
    (fresh / RENDERED).write_text(json.dumps({"pages": wanted}), encoding="utf-8")
    previous = layout.build / "html.previous"
    shutil.rmtree(previous, ignore_errors=True)
    if layout.html.exists():
        layout.html.rename(previous)
    fresh.rename(layout.html)
    shutil.rmtree(previous, ignore_errors=True)
    shutil.rmtree(workshop, ignore_errors=True)
    return True


def _jupyter_book(layout: Layout, workshop: Path) -> None:
    # `python -m jupyter_book.cli.main` does nothing and reports success; the script
    # beside this Python is the one that works.
    script = Path(sys.executable).with_name("jupyter-book")
    if not script.is_file():
        raise BookError(f"{script} is missing: run make setup")
    done = subprocess.run(
        [
            str(script),
            "build",
            str(layout.staging),
            "--config",
            str(layout.config),
            "--path-output",
            str(workshop),
            "-W",
            "-n",
            "--keep-going",
            "-q",
        ],
        env={**os.environ, "PYTHONPATH": layout.python_path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not (workshop / "_build/html/index.html").is_file():
        log = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr + done.stdout)
        said = re.findall(r"^.*(?:WARNING|ERROR|Error).*$", log, re.MULTILINE)
        staged = f"{layout.staging}/"
        lines = [line.replace(staged, "book/") for line in dict.fromkeys(said)]
        raise BookError("rendering failed:\n" + ("\n".join(lines) or log[-2000:]))
