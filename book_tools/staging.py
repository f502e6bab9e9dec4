"""The copy of the book that is rendered: sources, kept outputs, shared files.

In a notebook a widget brings everything along in its trait ``assets``: weights and
programs. On the site each asset becomes a file named by its content, which all pages
share and load when a reader touches the widget.
"""

import base64
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from book_tools import scripts
from book_tools.chapters import Chapter
from book_tools.execute import Stamp, kept_run
from book_tools.layout import BookError, Layout
from book_tools.outputs import ASSETS, WIDGET_VIEW, widget_assets
from lrpbook_lib.explore.runtime import RUNTIME, packed_runtime

RUN_PAGE, PLACE = "how_this_book_was_run.md", "<!-- run table -->"
#: Marks a picture that stands in for a widget in print and without JavaScript.
PAPER = "paper"
STILL = "*This widget is still: what moves it could not be fetched for this book.*"


def stage(layout: Layout, chapters: list[Chapter]) -> None:
    """Make the copy anew."""
    shutil.rmtree(layout.staging, ignore_errors=True)
    hidden = shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints")
    shutil.copytree(layout.source, layout.staging, ignore=hidden)
    layout.static.mkdir()
    for own in layout.source.glob("assets/*.[jc]s*"):
        shutil.copy(own, layout.static)
    scripts.unpack(layout.static)
    stamps = {}
    for chapter in chapters:
        kept = kept_run(layout, chapter)
        if kept is None:
            raise BookError(f"{chapter.name} has no kept run: run make book again")
        executed, stamps[chapter.name] = kept
        page = with_outputs(chapter.notebook, executed, scripts.widgets_move())
        share(page, layout.static)
        staged = layout.staging / f"{chapter.name}.ipynb"
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(json.dumps(page))
    table = layout.staging / RUN_PAGE
    if table.is_file():
        text = table.read_text(encoding="utf-8")
        if PLACE not in text:
            raise BookError(f"{RUN_PAGE} has lost its line {PLACE}")
        table.write_text(text.replace(PLACE, run_table(stamps)), encoding="utf-8")


def with_outputs(
    source: dict[str, Any], executed: dict[str, Any], moving: bool = True
) -> dict[str, Any]:
    """The chapter as written now, with the outputs of its kept run.

    Their code is the same, cell by cell (the run's key says so); prose may be newer.
    Unless widgets are ``moving``, each one is the picture that it has, and says so.
    """
    ran = (cell for cell in executed["cells"] if cell["cell_type"] == "code")
    cells = []
    for cell in source["cells"]:
        if cell["cell_type"] == "code":
            done = next(ran)
            outputs = [o for whole in done["outputs"] for o in for_page(whole, moving)]
            count = done["execution_count"]
            cell = {**cell, "outputs": outputs, "execution_count": count}
        cells.append(cell)
    metadata = dict(source["metadata"])
    if moving and "widgets" in executed["metadata"]:
        metadata["widgets"] = executed["metadata"]["widgets"]
    return {**source, "cells": cells, "metadata": metadata}


def for_page(output: dict[str, Any], moving: bool = True) -> list[dict[str, Any]]:
    """A widget that brings its own picture becomes two outputs, one of them for paper.

    A page shows one form of an output; print and readers without JavaScript need the
    other.
    """
    data = output.get("data", {})
    if WIDGET_VIEW not in data:
        return [output]
    still = {kind: data[kind] for kind in data if kind != WIDGET_VIEW}
    if not moving:
        word = {"output_type": "display_data", "data": {"text/markdown": STILL}}
        picture = [{**output, "data": still}] if "image/png" in data else []
        return [*picture, {**word, "metadata": {}}]
    if "image/png" not in data:
        return [output]
    alive = {kind: data[kind] for kind in data if kind != "image/png"}
    about = {"alt": output["metadata"]["image/png"]["alt"], PAPER: True}
    return [
        {**output, "data": alive, "metadata": {}},
        {
            "output_type": "display_data",
            "data": still,
            "metadata": {"image/png": about},
        },
    ]


def share(notebook: dict[str, Any], static: Path) -> None:
    """Move assets out of the notebook into ``static/shared`` and leave their names."""
    programs = []
    for widget, buffer, name in list(widget_assets(notebook)):
        widget["buffers"].remove(buffer)
        kept = widget["state"].setdefault(ASSETS, {})
        kept[name] = {"shared": _write(static, buffer["data"])}
        if name.startswith("program:"):
            programs.append(kept)
    if programs and RUNTIME.is_cached():
        for role, content in packed_runtime().items():
            shared = {"shared": _write(static, base64.b64encode(content).decode())}
            for kept in programs:
                kept[role] = shared


def _write(static: Path, text: str) -> str:
    # A script, because from a file a browser loads scripts but refuses to fetch.
    name = hashlib.sha256(text.encode()).hexdigest()[:20]
    path = static / "shared" / f"{name}.js"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'(globalThis.lrpxShared ??= {{}})["{name}"] = "{text}";\n')
    return name


def run_table(stamps: Mapping[str, Stamp]) -> str:
    """How the book was run, in Markdown: a row a chapter, then what they ran with."""
    head = ["chapter", "seconds", "profile", "seed", "device", "started (UTC)"]
    rows = [head, ["---"] * len(head)]
    sharing: dict[str, list[str]] = {}
    for name, stamp in stamps.items():
        others = [
            f"{key} = {value}"
            for key, value in stamp.parameters.items()
            if key not in {"profile", "seed"}
        ]
        rows.append(
            [
                f"{{doc}}`{name}`",
                f"{stamp.seconds:.1f}",
                "; ".join([stamp.profile, *others]),
                str(stamp.parameters.get("seed", "")),
                stamp.device,
                stamp.started.replace("T", " ").removesuffix("+00:00"),
            ]
        )
        packages = ", ".join(f"{key} {value}" for key, value in stamp.packages.items())
        told = (
            f"commit `{stamp.commit}`, library `{stamp.library}`, data `{stamp.data}`; "
            f"Python {stamp.python}, {packages}"
        )
        sharing.setdefault(told, []).append(f"{{doc}}`{name}`")
    total = sum(stamp.seconds for stamp in stamps.values())
    rows.append(["all chapters", f"{total:.1f}", "", "", "", ""])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    versions = "\n".join(
        f"- {', '.join(names)}: {told}." for told, names in sharing.items()
    )
    return f"{table}\n\n{versions}"
