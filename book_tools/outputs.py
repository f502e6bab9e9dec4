"""Would the reader see it? Outputs that render blank, mute or too large are refused."""

import json
import re
from collections.abc import Iterator
from typing import Any

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
#: A widget's trait whose entries become files of the whole site.
ASSETS = "assets"
SHOWN = {"text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml"}
PAGE_BUDGET = 2_000_000  # bytes of one chapter's outputs, beside the shared scripts


def _text(content: Any) -> str:
    return "".join(content) if isinstance(content, list) else str(content)


def plotly_alt(figure: dict[str, Any]) -> str:
    """A figure in words: ``layout.meta.alt``, or else its title."""
    layout = figure.get("layout", {})
    meta = layout.get("meta")
    if isinstance(meta, dict) and meta.get("alt"):
        return str(meta["alt"])
    title = layout.get("title") or {}
    return str(title.get("text", "") if isinstance(title, dict) else title)


def widget_assets(notebook: dict[str, Any]) -> Iterator[tuple[dict, dict, str]]:
    """Widget, buffer and name of every asset in an executed notebook."""
    widgets = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {})
    for widget in widgets.get("state", {}).values():
        for buffer in widget.get("buffers", ()):
            if buffer["path"][0] == ASSETS and len(buffer["path"]) == 2:
                yield widget, buffer, buffer["path"][1]


def complaints(notebook: dict[str, Any]) -> list[str]:
    """What a page made from this executed notebook would fail to show, a line each."""
    widgets = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {})
    states = widgets.get("state", {})
    said = []
    shared = sum(len(buffer["data"]) for _, buffer, _ in widget_assets(notebook))
    total = len(json.dumps(widgets)) - shared
    for number, cell in enumerate(notebook["cells"], 1):
        if {"remove-cell", "remove-output"} & set(cell["metadata"].get("tags", ())):
            continue
        for output in cell.get("outputs", ()):
            total += len(json.dumps(output))
            for what in _output_complaints(output, states):
                said.append(f"cell {number}: {what}")
    if total > PAGE_BUDGET:
        said.append(
            f"its outputs take {total / 1e6:.1f} MB; a page has {PAGE_BUDGET / 1e6:.0f}"
        )
    return said


def _output_complaints(output: dict[str, Any], states: dict[str, Any]) -> list[str]:
    if output["output_type"] not in {"display_data", "execute_result"}:
        return []
    data = output["data"]
    said = []
    if WIDGET_VIEW in data:
        said += _widget_complaints(data[WIDGET_VIEW], states)
    elif PLOTLY in data:
        said += _plotly_complaints(data[PLOTLY])
    elif pictures := [mime for mime in data if mime.startswith("image/")]:
        alt = output.get("metadata", {}).get(pictures[0], {}).get("alt", "")
        if not alt:
            said.append(
                "a picture without alt text: lrpbook_lib.explore.show(fig, alt)"
            )
    elif not SHOWN & set(data):
        said.append(f"no page can show {', '.join(sorted(data)) or 'an empty output'}")
    elif "text/html" in data:
        said += _html_complaints(_text(data["text/html"]))
    return said


def _widget_complaints(view: dict[str, Any], states: dict[str, Any]) -> list[str]:
    state = states.get(view["model_id"])
    if state is None:
        return ["a widget whose state was not saved renders blank"]
    if "plotlywidget" in state.get("model_module", "") or "_py2js" in str(
        state.get("state", {}).keys()
    ):
        return ["a plotly FigureWidget brings its own 5 MB script: show the Figure"]
    return []


def _plotly_complaints(figure: dict[str, Any]) -> list[str]:
    said = []
    if not figure.get("data"):
        said.append("a plotly figure without traces")
    if not plotly_alt(figure):
        said.append("a plotly figure without layout.meta.alt or a title")
    return said


def _html_complaints(markup: str) -> list[str]:
    said = []
    if not markup.strip():
        said.append("an empty HTML output")
    if re.search(r"<iframe(?![^>]*\btitle=)", markup):
        said.append("an iframe without a title")
    if re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"'](?:https?:)?//", markup):
        said.append("HTML that loads from the network")
    return said
