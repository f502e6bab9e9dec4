"""Scripts and styles of the widgets, as plain files: no step builds them."""

import json
from pathlib import Path

from lrpbook_lib.explore.palette import SHARED


def read(name: str) -> str:
    """A file of this folder as text."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Palette, shared script and the named ones as one JavaScript module."""
    palette = f"const PALETTE = {json.dumps(SHARED)};"
    return "\n".join([palette, *(read(f"{name}.js") for name in ("kit", *names))])


def style(*names: str) -> str:
    """The shared style sheet and the named ones as one."""
    return "\n".join(read(f"{name}.css") for name in ("kit", *names))


def constant(name: str, file: str) -> str:
    """A file as a JavaScript string constant, for code that runs elsewhere."""
    return f"const {name} = {json.dumps(read(file))};\n"
