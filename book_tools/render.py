"""From executed chapters to pages: stage a copy, render it strictly, swap it in."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from book_tools import fingerprint, shared
from book_tools.chapters import Chapter
from book_tools.execute import Stamp, kept_run
from book_tools.layout import BookError, Layout, write_atomically
from book_tools.mime import PAPER, WIDGET_VIEW
from book_tools.runpage import RUN_PAGE, run_table
from lrpbook_lib.explore.runtime import is_cached

RENDERED = ".rendered.json"


def with_outputs(source: dict[str, Any], executed: dict[str, Any]) -> dict[str, Any]:
    """The chapter as written now, with the outputs of its kept run.

    Their code is the same, cell by cell (the run's key says so); prose may be newer.
    """
    ran = (cell for cell in executed["cells"] if cell["cell_type"] == "code")
    cells = []
    for cell in source["cells"]:
        if cell["cell_type"] == "code":
            done = next(ran)
            outputs = [part for whole in done["outputs"] for part in for_paper(whole)]
            count = done["execution_count"]
            cell = {**cell, "outputs": outputs, "execution_count": count}
        cells.append(cell)
    metadata = dict(source["metadata"])
    if "widgets" in executed["metadata"]:
        metadata["widgets"] = executed["metadata"]["widgets"]
    return {**source, "cells": cells, "metadata": metadata}


def for_paper(output: dict[str, Any]) -> list[dict[str, Any]]:
    """A widget that brings its own picture becomes two outputs, one of them for paper.

    A page shows one form of an output; print and readers without JavaScript need the
    other.
    """
    data = output.get("data", {})
    if not {WIDGET_VIEW, "image/png"} <= set(data):
        return [output]
    alive = {kind: data[kind] for kind in data if kind != "image/png"}
    alt = output["metadata"]["image/png"]["alt"]
    picture = {
        "output_type": "display_data",
        "data": {"image/png": data["image/png"], "text/plain": data["text/plain"]},
        "metadata": {"image/png": {"alt": alt, PAPER: True}},
    }
    return [{**output, "data": alive, "metadata": {}}, picture]


def stage(layout: Layout, chapters: list[Chapter]) -> dict[str, Stamp]:
    """Make the copy of the book that is rendered; return each chapter's stamp."""
    shutil.rmtree(layout.staging, ignore_errors=True)
    shutil.copytree(
        layout.source,
        layout.staging,
        ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"),
    )
    stamps = {}
    for chapter in chapters:
        kept = kept_run(layout, chapter)
        if kept is None:
            raise BookError(f"{chapter.name} has no kept run: run make book again")
        executed, stamps[chapter.name] = kept
        staged = layout.staging / f"{chapter.name}.ipynb"
        staged.parent.mkdir(parents=True, exist_ok=True)
        page = with_outputs(chapter.notebook, executed)
        shared.share(page, layout.staging / "assets")
        staged.write_text(json.dumps(page))
    table = layout.staging / RUN_PAGE
    if table.is_file():
        table.write_text(run_table(table.read_text(encoding="utf-8"), stamps))
    return stamps


def wanted_pages(layout: Layout, chapters: list[Chapter]) -> str:
    """A hash of everything that the rendered pages are made from."""
    runs = [kept[1].key for c in chapters if (kept := kept_run(layout, c))]
    sources = [file for file in layout.source.rglob("*") if file.is_file()]
    return fingerprint.digest(
        runs,
        fingerprint.hash_files([*sources, layout.config], layout.root),
        fingerprint.hash_files(layout.library.rglob("*.py"), layout.root),
        is_cached(),
    )


def is_rendered(layout: Layout, wanted: str) -> bool:
    """Whether the book on disk is the one that is wanted."""
    try:
        return json.loads((layout.html / RENDERED).read_text())["pages"] == wanted
    except (OSError, ValueError, KeyError):
        return False


def render(layout: Layout, chapters: list[Chapter]) -> bool:
    """Render the book unless it is up to date; the last good one stays until then."""
    wanted = wanted_pages(layout, chapters)
    if is_rendered(layout, wanted):
        return False
    stage(layout, chapters)
    workshop = layout.build / "rendering"
    shutil.rmtree(workshop, ignore_errors=True)
    _jupyter_book(layout, workshop)
    fresh = workshop / "_build" / "html"
    wanted = wanted_pages(layout, chapters)  # the runtime may have come meanwhile
    write_atomically(fresh / RENDERED, json.dumps({"pages": wanted}))
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
