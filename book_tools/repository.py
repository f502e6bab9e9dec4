"""The one repository address, wherever it must be written out."""

import json
import re
from pathlib import Path

from book_tools.chapters import read_chapters, set_up
from book_tools.layout import BookError, Layout
from lrpbook_lib.files import whole_or_absent

# Files beside the chapters that name the address; each must hold it at least once.
PLACES = (
    "_config.yml",
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
    "book/index.ipynb",
)


def set_repository(layout: Layout, url: str) -> list[Path]:
    """Rewrite the address in every place; return the files that changed."""
    url = url.rstrip("/").removesuffix(".git")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", url):
        raise BookError(
            f"{url or 'an empty URL'} is no address like https://github.com/you/yours "
            "(Colab and the page buttons need one on GitHub)"
        )
    old = layout.address
    short_old, short_new = (
        each.removeprefix("https://github.com/") for each in (old, url)
    )
    changed = []

    def rewrite(file: Path, text: str) -> None:
        if text != file.read_text(encoding="utf-8"):
            with whole_or_absent(file) as beside:
                beside.write_text(text, encoding="utf-8")
            changed.append(file)

    for file in (layout.root / name for name in PLACES):
        text = file.read_text(encoding="utf-8")
        new = re.sub(rf"{re.escape(old)}(?![\w-])", url, text)
        rewrite(file, new.replace(f"github/{short_old}/", f"github/{short_new}/"))
    for chapter in read_chapters(layout):
        notebook = chapter.notebook
        for cell in notebook["cells"]:
            if "setup" in cell["metadata"].get("tags", ()):
                cell["source"] = set_up(url).splitlines(keepends=True)
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        rewrite(chapter.path, text)
    return changed
