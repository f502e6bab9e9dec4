"""A widget as one file: everything it needs is inside, nothing is fetched."""

from __future__ import annotations

import base64
import html
import json
from typing import Any

from lrpbook_lib.explore.web import read

#: Names of ipywidgets' own bookkeeping, which a page on its own does not need.
_PLUMBING = ("_", "layout", "tabbable", "tooltip", "comm", "keys", "log")


def page(widget: Any, title: str, alt: str) -> str:
    """The widget as HTML that opens from a file, with no network and no kernel.

    Parameters
    ----------
    widget
        An anywidget whose script is plain JavaScript.
    title, alt
        Of the page, and in words for readers without JavaScript.
    """
    state = {
        name: _plain(getattr(widget, name))
        for name in widget.traits(sync=True)
        if not name.startswith(_PLUMBING)
    }
    parts = {
        "title": html.escape(title),
        "alt": html.escape(alt),
        "style": str(widget._css),
        "state": json.dumps(state).replace("</", "<\\/"),
        "module": str(widget._esm).replace("</", "<\\/"),
    }
    text = read("alone.html")
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part, 1)
    return text


def _plain(value: Any) -> Any:
    """A value as JSON; bytes become base64 text under the key ``$bytes``."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
