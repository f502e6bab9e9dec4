"""A grid of experiments: on the cores of this machine, or on a Dask cluster.

What a run found lies in its folder, written last and in one piece. A grid is therefore
run by running what has no result yet: it may be stopped, killed and repeated at will.
"""

from __future__ import annotations

import json
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from lrpbook_lib.files import only_one, progress, usable_cores, write_json
from lrpbook_lib.models import NETWORKS

from .experiment import Experiment
from .running import Slices, run_experiment
from .settings import Hardware

Task = Callable[..., Mapping[str, Any]]


def run_grid(
    experiments: Iterable[Experiment],
    folder: str | Path,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    slices: Slices | None = None,
    hardware: Hardware | None = None,
    task: Task = run_experiment,
) -> pd.DataFrame:
    """Run the experiments that have no result yet, and tabulate all of them.

    Parameters
    ----------
    experiments : iterable of Experiment
        Each once: equal ones are one run.
    folder : path
        A folder a run, named by its hash. On a cluster, a folder that all see.
    jobs : int
        Processes on this machine; 0 for one a core.
    scheduler : str, optional
        Address of a Dask scheduler, ``"tcp://host:8786"``: the runs then go to its
        workers, and runs of a worker that dies go to another.
    slices : mapping of str to SliceSet or path
        What names in ``Experiment.data`` stand for; paths on a cluster.
    hardware : Hardware
        What each run gets.
    task : callable
        What a run is: ``task(experiment, folder, slices, hardware)``, with a mapping
        of numbers for an answer.

    Returns
    -------
    DataFrame
        A row an experiment, in their order: settings by dotted name, what was found,
        ``status`` ("done" or "failed") and ``error``. A failed run does not stop the
        others, and is tried again by the next call.
    """
    grid = list({experiment.name: experiment for experiment in experiments}.values())
    folder = Path(folder).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    todo = [e for e in grid if not (e.home(folder) / "result.json").is_file()]
    # Other processes do not know the networks that this one has registered.
    networks = {e.model: NETWORKS[e.model] for e in todo}
    rest = (folder, slices, hardware, task, networks)
    errors: dict[str, str] = {}
    with progress(len(grid), len(grid) - len(todo), "runs") as bar:
        runs = _on_cluster(scheduler, todo, rest) if scheduler else None
        for name, error in runs or _on_this_machine(jobs, todo, rest):
            if error is not None:
                errors[name] = error
            bar.update()
    if errors:
        name, error = next(iter(errors.items()))
        warnings.warn(
            f"{len(errors)} of {len(grid)} runs failed, e.g. {name}: {error} "
            "The table tells of each; the same call tries them again.",
            stacklevel=2,
        )
    return _table(grid, folder, errors)


def run_once(
    experiment: Experiment,
    folder: Path,
    slices: Slices | None,
    hardware: Hardware | None,
    task: Task,
    networks: Mapping[str, type[nn.Module]],
) -> tuple[str, str | None]:
    """Run an experiment unless it has a result; answer with its name and its error."""
    NETWORKS.update(networks)
    home = experiment.home(folder)
    result = home / "result.json"
    # A worker that was thought lost may still be at it: wait, and find the result.
    with only_one(home):
        if result.is_file():
            return experiment.name, None
        try:
            found = task(experiment, folder, slices, hardware)
        except Exception as error:
            (home / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
            return experiment.name, f"{type(error).__name__}: {error}"
        write_json(home / "experiment.json", experiment.to_dict())
        write_json(result, dict(found))
        (home / "error.txt").unlink(missing_ok=True)
        return experiment.name, None


def _on_this_machine(
    jobs: int, todo: list[Experiment], rest: tuple[Any, ...]
) -> Iterator[tuple[str, str | None]]:
    if jobs == 1 or len(todo) < 2:
        yield from (run_once(experiment, *rest) for experiment in todo)
        return
    from joblib import Parallel, delayed, parallel_config

    jobs = min(jobs or usable_cores(), len(todo))
    # Each process gets its share of the cores: more threads than cores run slower.
    threads = max(usable_cores() // jobs, 1)
    with parallel_config("loky", inner_max_num_threads=threads):
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
        yield from parallel(delayed(run_once)(e, *rest) for e in todo)


def _on_cluster(
    scheduler: str, todo: list[Experiment], rest: tuple[Any, ...]
) -> Iterator[tuple[str, str | None]]:
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError(
            "A cluster needs Dask: pip install 'lrpbook-lib[scale]'."
        ) from error
    with Client(scheduler) as client:
        # Not pure: a run may fail today and succeed tomorrow.
        futures = {client.submit(run_once, e, *rest, pure=False): e for e in todo}
        for future in as_completed(futures):
            lost = future.exception()
            if lost is None:
                yield future.result()
            else:  # not the run's own error, but its worker's
                yield futures[future].name, f"{type(lost).__name__}: {lost}"


def _table(
    grid: list[Experiment], folder: Path, errors: dict[str, str]
) -> pd.DataFrame:
    if not grid:
        return pd.DataFrame()
    rows = []
    for experiment in grid:
        path = folder / experiment.name / "result.json"
        done = path.is_file()
        row = {"status": "done"} if done else {"status": "failed"}
        if not done:
            row["error"] = errors.get(experiment.name, "")
        rows.append(row | (json.loads(path.read_text("utf-8")) if done else {}))
    settings = pd.json_normalize([experiment.to_dict() for experiment in grid])
    names = pd.Index([experiment.name for experiment in grid], name="run")
    return pd.concat([settings, pd.DataFrame(rows)], axis=1).set_index(names)
