"""Run the chapters that changed, side by side, and keep their outputs.

A run is kept as the executed notebook with a stamp in its metadata. The stamp's key is
a hash of everything that could change the outputs; a chapter whose key is on disk is
not run again. Prose is not part of the key: editing it costs no execution at all.
"""

import concurrent.futures
import contextlib
import dataclasses
import datetime
import importlib.metadata
import json
import multiprocessing
import os
import platform
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from book_tools import fingerprint, outputs
from book_tools.chapters import Chapter, check_parameters
from book_tools.layout import TOOLS, BookError, Layout
from lrpbook_lib.files import all_cores, digest, whole_or_absent
from lrpbook_lib.places import data_home

PACKAGES = ("torch", "numpy", "torchio", "nilearn", "scikit-learn", "plotly")
#: What tells torch, numpy, SimpleITK and joblib how many cores are theirs.
SHARES = (
    "OMP_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
CELL_TIMEOUT = 3600  # seconds; a cell that takes longer hangs


@dataclasses.dataclass(frozen=True)
class Stamp:
    """What one kept run was made from, and how long it took."""

    key: str
    profile: str
    parameters: dict[str, Any]
    library: str
    data: str
    python: str
    packages: dict[str, str]
    commit: str = ""
    device: str = ""
    started: str = ""
    seconds: float = 0.0


def plan(layout: Layout, chapters: list[Chapter], given: dict[str, Any]) -> list[Stamp]:
    """The stamp that each chapter's run must carry to be up to date."""
    check_parameters(chapters, {k: v for k, v in given.items() if k not in DEFAULTS})
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    library = fingerprint.library_version(layout)
    results = (layout.source / "results").rglob("*.json")
    data = digest(
        [
            fingerprint.data_version(data_home()),
            fingerprint.hash_files(results, layout.source),
        ]
    )
    cards = fingerprint.hash_files((TOOLS / "cards").glob("*.py"), TOOLS)
    python = platform.python_version()
    stamps = []
    for chapter in chapters:
        parameters = {k: v for k, v in given.items() if k in chapter.parameters}
        code = [cell.source for cell, _ in chapter.code]
        made_from = [code, parameters, library, data, python, versions]
        key = digest([*made_from, cards] if chapter.needs_checkout else made_from)
        stamps.append(
            Stamp(key, layout.profile, parameters, library, data, python, versions)
        )
    return stamps


DEFAULTS = {"profile", "seed"}  # given to every chapter, whether asked for or not


def kept_path(layout: Layout, chapter: Chapter) -> Path:
    """Where a chapter's executed copy is kept."""
    return layout.executed / f"{chapter.name}.ipynb"


def kept_run(layout: Layout, chapter: Chapter) -> tuple[dict[str, Any], Stamp] | None:
    """A kept run and its stamp; None where there is none or it cannot be read."""
    try:
        text = kept_path(layout, chapter).read_text(encoding="utf-8")
        notebook = json.loads(text)
        return notebook, Stamp(**notebook["metadata"]["lrpbook"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def execute(
    layout: Layout, chapters: list[Chapter], given: dict[str, Any], jobs: int = 0
) -> list[str]:
    """Run every chapter whose kept run is out of date; return the names of those run.

    Parameters
    ----------
    layout
        The checkout and the profile.
    chapters
        The chapters of the table of contents.
    given
        Parameters for papermill, ``profile`` and ``seed`` among them.
    jobs
        Chapters run side by side; 0 means one a core.
    """
    todo = []
    urgency = {}
    for chapter, stamp in zip(chapters, plan(layout, chapters, given), strict=True):
        kept = kept_run(layout, chapter)
        if kept is None or kept[1].key != stamp.key:
            todo.append((chapter, stamp))
        known = kept[1].seconds if kept else float("inf")
        urgency[chapter.name] = known, "Trainer" in chapter.names_read
    if not todo:
        return []
    # The longest first, so that no core waits for a long chapter begun last; before its
    # first run nothing is known of a chapter but whether it trains.
    todo.sort(key=lambda item: urgency[item[0].name], reverse=True)
    jobs = min(jobs or all_cores(), len(todo))
    threads = max(1, all_cores() // jobs)
    device, commit = _device(), fingerprint.commit(layout)
    layout.executed.mkdir(parents=True, exist_ok=True)
    tasks = [
        (chapter, dataclasses.replace(stamp, device=device, commit=commit))
        for chapter, stamp in todo
    ]
    _run_all(layout, tasks, jobs, threads)
    return [chapter.name for chapter, _ in tasks]


def _run_all(
    layout: Layout, tasks: list[tuple[Chapter, Stamp]], jobs: int, threads: int
) -> None:
    from tqdm import tqdm

    spawn = multiprocessing.get_context("spawn")
    failures: list[str] = []
    with (
        concurrent.futures.ProcessPoolExecutor(
            jobs, spawn, initializer=_quiet, initargs=(layout.build / "kernels.log",)
        ) as pool,
        tqdm(
            total=len(tasks), unit="chapter", disable=None, leave=False, file=sys.stderr
        ) as bar,
    ):
        running = {
            pool.submit(
                run_chapter,
                layout.python_path,
                chapter,
                kept_path(layout, chapter),
                stamp,
                threads,
            ): chapter.name
            for chapter, stamp in tasks
        }
        try:
            for done in concurrent.futures.as_completed(running):
                seconds, failure = done.result()
                bar.update()
                verdict = "FAILED" if failure else f"{seconds:6.1f} s"
                bar.write(f"  {running[done]:<32} {verdict}", file=sys.stderr)
                if failure:
                    failures.append(failure)
                    pool.shutdown(wait=False, cancel_futures=True)
        except concurrent.futures.CancelledError:
            pass  # the chapters that did not start, after another one failed
        except concurrent.futures.process.BrokenProcessPool:
            raise BookError(
                "a chapter's process was killed, most likely for memory: "
                "try fewer side by side with make book JOBS=1"
            ) from None
    if failures:
        raise BookError("\n\n".join(failures))


def _quiet(log: Path) -> None:
    """Send what kernels say on their way out to a file, not into the progress."""
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)


def run_chapter(
    python_path: str, chapter: Chapter, target: Path, stamp: Stamp, threads: int
) -> tuple[float, str]:
    """Run one chapter in its own kernel; return its seconds and what failed, if so."""
    os.environ.update(
        # Each kernel keeps to its share of the cores; progress bars are for people.
        **dict.fromkeys(SHARES, str(threads)),
        TQDM_DISABLE="1",
        PYDEVD_DISABLE_FILE_VALIDATION="1",
        PYTHONPATH=python_path,
    )
    import papermill

    started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    clock = time.perf_counter()
    partial = target.with_name(f"{chapter.name}.partial.ipynb")
    try:
        papermill.execute_notebook(
            str(chapter.path),
            str(partial),
            parameters=stamp.parameters,
            cwd=str(chapter.path.parent),
            kernel_name="python3",
            progress_bar=False,
            autosave_cell_every=0,
            execution_timeout=CELL_TIMEOUT,
            extra_arguments=["--IPKernelApp.log_level=40"],
        )
    except Exception as error:  # papermill's, nbclient's or the kernel's own
        return time.perf_counter() - clock, _failure(chapter, partial, error)
    seconds = time.perf_counter() - clock
    notebook = drop_papermill(json.loads(partial.read_text(encoding="utf-8")))
    if unseen := outputs.complaints(notebook):
        return seconds, "\n".join(f"{chapter.name}, {what}" for what in unseen)
    finished = dataclasses.replace(stamp, started=started, seconds=round(seconds, 2))
    notebook["metadata"]["lrpbook"] = dataclasses.asdict(finished)
    with whole_or_absent(target) as beside:
        beside.write_text(json.dumps(notebook), encoding="utf-8")
    partial.unlink()
    return seconds, ""


def drop_papermill(notebook: dict[str, Any]) -> dict[str, Any]:
    """The notebook without papermill's own cells and records."""
    own = {"injected-parameters", "papermill-error-cell-tag"}
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if not own & set(cell["metadata"].get("tags", ()))
    ]
    for holder in (notebook, *notebook["cells"]):
        holder["metadata"].pop("papermill", None)
    return notebook


def _failure(chapter: Chapter, partial: Path, error: Exception) -> str:
    """Chapter, cell and traceback, as far as the kernel got to tell."""
    with contextlib.suppress(OSError, ValueError):
        notebook = drop_papermill(json.loads(partial.read_text(encoding="utf-8")))
        for number, cell in enumerate(notebook["cells"], 1):
            for output in cell.get("outputs", ()):
                if output["output_type"] == "error":
                    trace = re.sub(
                        r"\x1b\[[0-9;]*m", "", "\n".join(output["traceback"])
                    )
                    return (
                        f"{chapter.name}, cell {number} failed "
                        f"({output['ename']}):\n\n{trace}"
                    )
    return f"{chapter.name} failed: {type(error).__name__}: {error}"


def _device() -> str:
    # Importing torch takes seconds; only a machine with a driver is worth asking.
    if shutil.which("nvidia-smi"):
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    return f"CPU, {os.cpu_count()} cores ({platform.machine()})"
