"""The kinds of output that a notebook holds and a page must show."""

from typing import Any

PLOTLY = "application/vnd.plotly.v1+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
#: Marks a picture that stands in for a widget in print and without JavaScript.
PAPER = "paper"


def plotly_alt(figure: dict[str, Any]) -> str:
    """A figure in words: ``layout.meta.alt``, or else its title."""
    layout = figure.get("layout", {})
    meta = layout.get("meta")
    if isinstance(meta, dict) and meta.get("alt"):
        return str(meta["alt"])
    title = layout.get("title") or {}
    return str(title.get("text", "") if isinstance(title, dict) else title)
