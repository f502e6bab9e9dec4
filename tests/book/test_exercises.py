"""Every solution in a chapter is code that runs after it and passes its own checks."""

import re

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from book_tools.chapters import read_chapters
from book_tools.layout import Layout
from tests.conftest import ROOT

PAGES = read_chapters(Layout(ROOT, "smoke"))
CHAPTERS = [page for page in PAGES if page.name[:2].isdigit() or page.name == "explore"]
SOLUTION = re.compile(r"^(`{3,})\{solution\}.*?^\1`*$", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def solutions(chapter):
    return [
        code
        for cell in chapter.cells
        if cell.kind == "markdown"
        for solution in SOLUTION.finditer(cell.source)
        for code in PYTHON.findall(solution.group(0))
    ]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_solutions_run_after_their_chapter(chapter, monkeypatch):
    codes = solutions(chapter)
    assert codes, "a chapter ends with exercises and solutions"
    assert any("assert" in code for code in codes), "solutions check themselves"
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = load_notebook_node(str(chapter.path))
    notebook = parameterize_notebook(notebook, {"profile": "smoke", "seed": 0})
    for code in codes:
        notebook.cells.append(nbformat.v4.new_code_cell(code))
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT / "book")}},
        extra_arguments=["--IPKernelApp.log_level=40"],
    )
    try:
        client.execute()
    except CellExecutionError as error:
        pytest.fail(str(error))
