"""Runs of experiments and their stamps: kept, guarded, and checked.

What is found in the runs is for :mod:`data_scripts.results` to say; how runs are kept
changes no number, and no stamp depends on this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from lrpbook_lib.files import digest, write_json
from lrpbook_lib.places import cache_home
from lrpbook_lib.results import (
    FOLDERS,
    StaleResultError,
    check_stamp,
    read_result,
    write_result,
)
from lrpbook_lib.training import Experiment, PhantomData, run_grid
from lrpbook_lib.training.behavior import (
    behavior,
    changes,
    comparison,
    twin_comparison,
)
from lrpbook_lib.training.plain import chosen, defaults

Arms = Mapping[Any, Sequence[Experiment]]


def runs_folder() -> Path:
    """Where runs are kept, in the cache."""
    return cache_home() / "runs"


def guard(experiments: Iterable[Experiment]) -> None:
    """Refuse runs that were made when the code gave other numbers."""
    record = runs_folder() / "behavior.json"
    known = json.loads(record.read_text("utf-8")) if record.is_file() else {}
    now = behavior(experiments)
    if changed := changes({key: known[key] for key in now if key in known}, now):
        raise RuntimeError(
            f"The code comes to other numbers than when the runs in {record.parent} "
            f"were made ({changed[0]}): undo the change, or move that folder away."
        )
    write_json(record, {**known, **now})


def run_arms(
    arms: Arms, jobs: int, slices: Any = None
) -> dict[Any, list[pd.DataFrame]]:
    """Run what has not been run, and read the predictions of every arm."""
    folder = runs_folder()
    # All of them side by side, seed by seed: a run that was cut short tells most.
    grid = sorted(_all(arms), key=lambda e: e.settings.seed)
    guard(grid)
    table = run_grid(grid, folder, jobs=jobs, slices=slices)
    failed = table[table["status"] != "done"]
    if len(failed):
        raise RuntimeError(f"{len(failed)} runs failed: {failed['error'].iloc[0]}")
    return {
        arm: [pd.read_csv(folder / e.name / "predictions.csv") for e in runs]
        for arm, runs in arms.items()
    }


def stamp(
    name: str,
    values: Mapping[str, Any],
    arms: Arms,
    arrays: Any = None,
    data: Mapping[str, Path] | None = None,
) -> None:
    """Write the result with everything that made it: a module here, called like it."""
    grid = _all(arms)
    found = [
        json.loads((runs_folder() / e.name / "result.json").read_text()) for e in grid
    ]
    # Older runs do not know what their training took of a CPU.
    clocks = {"seconds": "wall_seconds", "cpu_seconds": "cpu_seconds"}
    spent = {
        clock: round(sum(run[key] for run in found))
        for clock, key in clocks.items()
        if all(key in run for run in found)
    }
    phantoms = [digest(chosen(e.data)) for e in grid if isinstance(e.data, PhantomData)]
    path = write_result(
        name,
        values,
        [f"data_scripts/results/{name}.py"],
        data or {f"synthetic phantom {key}": key for key in phantoms},
        arrays,
        runs=len(grid),
        device="cpu" if not torch.cuda.is_available() else "cuda",
        torch=torch.__version__.split("+")[0],
        again=f"make results RESULTS={name}",
        **spent,
        **used(grid, values),
    )
    minutes = spent["seconds"] / 60
    print(f"{path.name}: {len(grid)} runs, {minutes:.0f} minutes of computing")


def used(grid: Sequence[Experiment], values: Mapping[str, Any]) -> dict[str, Any]:
    """What the experiments used: their names, defaults, and the library's behavior."""
    compared = {
        **(comparison() if "intervals" in values else {}),
        **(twin_comparison() if "twins" in values else {}),
    }
    return {
        "experiments": digest([e.name for e in grid]),
        "defaults": defaults(grid),
        "behavior": behavior(grid) | compared,
    }


def stale(name: str) -> list[str]:
    """Why a stamped result does not hold any more, a line each; empty if it does."""
    path = FOLDERS[0] / f"{name}.json"
    if not path.is_file():
        return ["not made yet"]
    known = json.loads(path.read_text("utf-8"))["stamp"]
    try:
        check_stamp(path, known, FOLDERS[0].parents[1])
    except StaleResultError as error:
        return [str(error)]
    module = import_module(f"data_scripts.results.{name}")
    values = read_result(name)
    arms = module.arms(values) if hasattr(module, "arms") else module.ARMS
    now = used(_all(arms), values)
    names = ["other experiments"] if now["experiments"] != known["experiments"] else []
    others = [
        f"{key} was {value!r} by default, now {now['defaults'][key]!r}"
        for key, value in known["defaults"].items()
        if now["defaults"].get(key, value) != value
    ]
    return [*names, *others, *changes(known["behavior"], now["behavior"])]


def _all(arms: Arms) -> list[Experiment]:
    return [e for runs in arms.values() for e in runs]
