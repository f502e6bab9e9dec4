"""The one repository address, wherever it must be written out."""

import json
import re
from pathlib import Path

import yaml

from book_tools.chapters import SETUP_CELL, read_chapters
from book_tools.layout import BookError, Layout, write_atomically

# Files beside the chapters that name the address; each must hold it at least once.
PLACES = ("_config.yml", "pyproject.toml", "README.md", "CITATION.cff", "book/index.md")


def repository(layout: Layout) -> str:
    """The address, from ``_config.yml``."""
    return yaml.safe_load(layout.config.read_text(encoding="utf-8"))["repository"][
        "url"
    ]


def set_repository(layout: Layout, url: str) -> list[Path]:
    """Rewrite the address in every place; return the files that changed."""
    url = url.rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise BookError(
            f"{url or 'an empty URL'} is no address like https://github.com/you/yours "
            "(Colab and the page buttons need one on GitHub)"
        )
    old = repository(layout)
    short_old, short_new = (
        each.removeprefix("https://github.com/") for each in (old, url)
    )
    changed = []
    files = [layout.root / name for name in PLACES]
    for file in files:
        text = file.read_text(encoding="utf-8")
        new = re.sub(rf"{re.escape(old)}(?![\w-])", url, text)
        new = new.replace(f"github/{short_old}/", f"github/{short_new}/")
        if new != text:
            write_atomically(file, new)
            changed.append(file)
    for chapter in read_chapters(layout):
        notebook = chapter.notebook
        for cell in notebook["cells"]:
            if "setup" in cell["metadata"].get("tags", ()):
                source = SETUP_CELL.replace("{repository}", url)
                cell["source"] = source.splitlines(keepends=True)
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        if text != chapter.path.read_text(encoding="utf-8"):
            write_atomically(chapter.path, text)
            changed.append(chapter.path)
    return changed
