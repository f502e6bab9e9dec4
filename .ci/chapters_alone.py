"""Run chapters as Colab would: each alone in an empty folder, by this very Python.

Needs only nbformat and nbclient; the library comes from each chapter's set-up cell,
which acts because ``google.colab`` is loaded before it.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def run_alone(chapter: Path, keep: Path | None = None) -> None:
    """Execute a copy of ``chapter`` in an empty folder; ``keep`` gets the result."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        notebook = nbformat.read(shutil.copy(chapter, folder), as_version=4)
        colab = nbformat.v4.new_code_cell("import google.colab")
        notebook.cells.insert(0, colab)
        NotebookClient(notebook, timeout=1800, kernel_name="python3").execute()
        if keep:
            nbformat.write(notebook, keep)
        os.chdir(chapter.parent)


def main(chapters: list[Path]) -> int:
    """Run every chapter, say how each one went, fail if one failed."""
    failed = 0
    for chapter in chapters:
        clock = time.perf_counter()
        try:
            run_alone(chapter)
            verdict = "ok"
        except CellExecutionError as error:
            failed += 1
            verdict = f"FAILED\n{error}"
        seconds = time.perf_counter() - clock
        print(f"{chapter.stem:<34} {seconds:7.1f} s  {verdict}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main([Path(name).resolve() for name in sys.argv[1:]]))
