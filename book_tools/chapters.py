"""The chapters as written: read from the table of contents, checked before they run."""

import ast
import difflib
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from book_tools.layout import BookError, Layout

SETUP_CELL = """\
# Set-up: does nothing outside Colab.
import sys

if "google.colab" in sys.modules:
    from importlib.metadata import version

    torch_here = f"torch=={version('torch')}"
    %pip install -q "lrpbook-lib @ git+{repository}" {torch_here}
    from google.colab import output

    output.enable_custom_widget_manager()\
"""


def set_up(repository: str) -> str:
    """The cell with which every chapter starts that runs in Colab."""
    return SETUP_CELL.replace("{repository}", repository)


@dataclass(frozen=True)
class Cell:
    """One cell of a source notebook; ``number`` counts all cells from 1."""

    number: int
    kind: str
    source: str
    tags: tuple[str, ...]
    has_output: bool


@dataclass(frozen=True)
class Chapter:
    """A source notebook, named as in the table of contents (``01_gliomas``)."""

    name: str
    path: Path

    @functools.cached_property
    def notebook(self) -> dict[str, Any]:
        """The notebook's JSON."""
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise BookError(
                f"{self.path.name}, line {error.lineno}: not a notebook ({error.msg})"
            ) from None

    @functools.cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cells, in order."""
        return tuple(
            Cell(
                number=number,
                kind=cell["cell_type"],
                source="".join(cell["source"]),
                tags=tuple(cell["metadata"].get("tags", ())),
                has_output=bool(cell.get("outputs") or cell.get("execution_count")),
            )
            for number, cell in enumerate(self.notebook["cells"], 1)
        )

    @functools.cached_property
    def code(self) -> tuple[tuple[Cell, ast.Module], ...]:
        """Each code cell with its syntax tree; a syntax error is named here."""
        # IPython turns %magics into calls, so that the rest parses as Python.
        from IPython.core.inputtransformer2 import TransformerManager

        parsed = []
        for cell in self.cells:
            if cell.kind != "code":
                continue
            try:
                source = TransformerManager().transform_cell(cell.source)
                parsed.append((cell, ast.parse(source)))
            except SyntaxError as error:
                raise BookError(
                    f"{self.path.name}, cell {cell.number}, line {error.lineno}: "
                    f"{error.msg}: {(error.text or '').strip()}"
                ) from None
        return tuple(parsed)

    @functools.cached_property
    def parameters(self) -> frozenset[str]:
        """Names that the ``parameters`` cell sets and papermill may override."""
        return frozenset(
            target.id
            for cell, tree in self.code
            if "parameters" in cell.tags
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        )

    @functools.cached_property
    def names_read(self) -> frozenset[str]:
        """Every variable that the chapter's code reads."""
        return frozenset(
            node.id
            for _, tree in self.code
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )

    @property
    def needs_checkout(self) -> bool:
        """Whether it imports these tools, which no wheel carries: not for Colab."""
        return any("book_tools" in cell.source for cell, _ in self.code)

    def complaints(self, repository: str) -> list[str]:
        """What keeps this notebook from being a chapter, a line each."""
        said = []
        setup = [cell.source for cell in self.cells if "setup" in cell.tags]
        if self.needs_checkout and setup:
            said.append("it imports book_tools, so it has no set-up cell for Colab")
        if not self.needs_checkout and setup != [set_up(repository)]:
            said.append("its set-up cell is not the one in chapters.py")
        if sum("parameters" in cell.tags for cell in self.cells) > 1:
            said.append("it has two parameters cells; papermill sets the first alone")
        if unread := self.parameters - self.names_read:
            said.append(f"parameter {', '.join(sorted(unread))} is set but never read")
        if not (self.needs_checkout or {"profile", "seed"} <= self.parameters):
            said.append("its parameters cell does not set profile and seed")
        stale = [str(cell.number) for cell in self.cells if cell.has_output]
        if stale:
            said.append(f"cell {', '.join(stale)} has outputs: run nbstripout on it")
        said += [
            f"cell {cell.number} has {lines} lines of code; 15 are the most"
            for cell, _ in self.code
            if (lines := sum(map(bool, cell.source.splitlines()))) > 15
        ]
        return [f"{self.path.name}: {what}" for what in said]


def toc_files(layout: Layout) -> list[str]:
    """Every page of the table of contents, in reading order, without suffixes."""
    try:
        toc = yaml.safe_load(layout.toc.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise BookError(f"{layout.toc.name} is not valid YAML: {error}") from None
    found = [toc["root"]]

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            if "file" in node:
                found.append(node["file"])
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect({key: value for key, value in toc.items() if key != "root"})
    return found


def read_chapters(layout: Layout) -> list[Chapter]:
    """The chapters in reading order; a page without a source is an error."""
    chapters = []
    for name in toc_files(layout):
        notebook = layout.source / f"{name}.ipynb"
        if notebook.is_file():
            chapters.append(Chapter(name, notebook))
        elif not (layout.source / f"{name}.md").is_file():
            raise BookError(f"{layout.toc.name} names {name}, which does not exist")
    return chapters


def check_parameters(chapters: list[Chapter], given: dict[str, Any]) -> None:
    """Refuse a parameter that no chapter reads: it would be silently ignored."""
    known = sorted({name for chapter in chapters for name in chapter.parameters})
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise BookError(
            f"no chapter reads a parameter {name!r}{hint} (there are: "
            f"{', '.join(known) or 'none'})"
        )
