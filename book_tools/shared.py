"""What widgets carry and a site needs once: model weights, programs, their runtime.

In a notebook a widget brings everything along in its trait ``assets``. On the site each
asset becomes a file named by its content, which all pages share and load when a reader
touches the widget.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from book_tools.mime import WIDGET_STATE

TRAIT = "assets"


def shareable(notebook: dict[str, Any]) -> Iterator[tuple[dict, dict, str]]:
    """Widget, buffer and name of every asset in an executed notebook."""
    widgets = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {})
    for widget in widgets.get("state", {}).values():
        for buffer in widget.get("buffers", ()):
            if buffer["path"][0] == TRAIT and len(buffer["path"]) == 2:
                yield widget, buffer, buffer["path"][1]


def size(notebook: dict[str, Any]) -> int:
    """Characters that sharing takes off the page."""
    return sum(len(buffer["data"]) for _, buffer, _ in shareable(notebook))


def share(notebook: dict[str, Any], assets: Path) -> None:
    """Move assets out of the notebook into ``assets/shared`` and leave their names."""
    programs = []
    for widget, buffer, name in list(shareable(notebook)):
        widget["buffers"].remove(buffer)
        kept = widget["state"].setdefault(TRAIT, {})
        kept[name] = {"shared": _write(assets, buffer["data"])}
        if name.startswith("program:"):
            programs.append(kept)
    if programs:
        runtime = _runtime(assets)
        for kept in programs:
            kept.update(runtime)


def _runtime(assets: Path) -> dict[str, dict[str, str]]:
    from lrpbook_lib.explore.runtime import RuntimeMissingError, packed_runtime

    try:
        found = packed_runtime()
    except RuntimeMissingError as missing:
        print(f"book: {missing}; explorers show stored heatmaps", file=sys.stderr)
        return {}
    return {
        role: {"shared": _write(assets, base64.b64encode(content).decode())}
        for role, content in found.items()
    }


def _write(assets: Path, text: str) -> str:
    # A script, because from a file a browser loads scripts but refuses to fetch.
    name = hashlib.sha256(text.encode()).hexdigest()[:20]
    path = assets / "shared" / f"{name}.js"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'(globalThis.lrpxShared ??= {{}})["{name}"] = "{text}";\n')
    return name
