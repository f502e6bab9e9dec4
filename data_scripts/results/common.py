"""What the experiments of the book share: the cohort, the budget, and the stamp."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from lrpbook_lib.data import (
    SliceRecipe,
    SliceSet,
)
from lrpbook_lib.files import write_json
from lrpbook_lib.places import (
    cache_home,
)
from lrpbook_lib.results import write_result
from lrpbook_lib.training import (
    Experiment,
    PhantomData,
    Trainer,
    TrainSettings,
    compare,
    load_weights,
    run_grid,
)
from lrpbook_lib.training.behavior import behavior, changes
from lrpbook_lib.training.plain import digest, to_dict
from lrpbook_lib.training.running import network_of, split

SEEDS = 5

#: Three slices a patient, 6 mm apart: more patients for the same computing.
THREE = SliceRecipe(hgg_slices=3, lgg_slices=3, hgg_gap=6.0, lgg_gap=6.0)

#: Other patients than those of the chapters, who have seed 0.
COHORT = PhantomData(patients=240, seed=1, size=64, recipe=THREE)

#: Every arm has this budget; what an arm changes is written where the arm is.
BASE = Experiment(data=COHORT, settings=TrainSettings(epochs=10), curve="none")

Arms = Mapping[str, Sequence[Experiment]]


def over_seeds(experiment: Experiment, seeds: int = SEEDS) -> list[Experiment]:
    """One experiment with several seeds, each tested on a fold of its own."""
    return [experiment.but(seed=s, fold=s % experiment.folds) for s in range(seeds)]


@cache
def runs_folder() -> Path:
    """Where runs are kept, in the cache; refused if the code gives other numbers."""
    home = cache_home() / "runs"
    known, now = home / "behavior.json", behavior()
    if known.is_file():
        changed = changes(json.loads(known.read_text(encoding="utf-8")), now)
        if changed:
            raise RuntimeError(
                f"The code comes to other numbers than when the runs in {home} were "
                f"made ({changed[0]}): undo the change, or move that folder away."
            )
    else:
        write_json(known, now)
    return home


def run_arms(
    arms: Arms, jobs: int, slices: Any = None
) -> dict[str, list[pd.DataFrame]]:
    """Run what has not been run, and read the predictions of every arm."""
    folder = runs_folder()
    # All of them side by side, seed by seed: a run that was cut short tells most.
    grid = sorted(
        (e for runs in arms.values() for e in runs), key=lambda e: e.settings.seed
    )
    table = run_grid(grid, folder, jobs=jobs, slices=slices)
    failed = table[table["status"] != "done"]
    if len(failed):
        raise RuntimeError(f"{len(failed)} runs failed: {failed['error'].iloc[0]}")
    return {
        arm: [pd.read_csv(folder / e.name / "predictions.csv") for e in runs]
        for arm, runs in arms.items()
    }


def histories(arms: Arms) -> pd.DataFrame:
    """The histories of all runs, with columns ``arm`` and ``seed``."""
    folder = cache_home() / "runs"
    return pd.concat(
        pd.read_csv(folder / e.name / "history.csv").assign(
            arm=arm, seed=e.settings.seed
        )
        for arm, runs in arms.items()
        for e in runs
    )


def collapsed(predictions: Mapping[str, Sequence[pd.DataFrame]]) -> dict[str, int]:
    """Of each arm, the runs that name one class only on the held-out patients."""
    return {
        arm: sum(
            len(set(run.loc[run["part"] == "patients", "predicted"])) == 1
            for run in runs
        )
        for arm, runs in predictions.items()
    }


def intervals(
    predictions: Mapping[str, Sequence[pd.DataFrame]],
    against: str | None = "plain",
    parts: Iterable[str] = ("patients", "site"),
    classes: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Every metric of every arm under both protocols, as rows for a file."""
    tables = []
    for part in parts:
        arms = {
            arm: [run[run["part"] == part] for run in runs]
            for arm, runs in predictions.items()
        }
        tables.append(compare(arms, against, classes).assign(protocol=part))
    return rows(pd.concat(tables))


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as JSON can say it: four digits, None for what there is not."""
    return json.loads(table.to_json(orient="records", double_precision=4))


def stamp(
    name: str,
    values: Mapping[str, Any],
    arms: Arms,
    arrays: Any = None,
    data: Mapping[str, str] | None = None,
    made_by: str | None = None,
) -> None:
    """Write the result with everything that made it: a module here, called like it."""
    grid = [e for runs in arms.values() for e in runs]
    folder = cache_home() / "runs"
    spent = [
        json.loads((folder / e.name / "result.json").read_text())["wall_seconds"]
        for e in grid
    ]
    makers = (made_by or name, "common")
    about = {
        "runs": len(grid),
        "seconds": round(sum(spent)),
        "device": "cpu" if not torch.cuda.is_available() else "cuda",
        "torch": torch.__version__.split("+")[0],
        "experiments": digest([e.to_dict() for e in grid]),
        "again": f"make results RESULTS={makers[0]}",
        "behavior": json.loads((folder / "behavior.json").read_text(encoding="utf-8")),
    }
    made_with = [
        f"data_scripts/results/{file}.py" for file in (made_by or name, "common")
    ]
    phantoms = {digest(to_dict(e.data)): e.data for e in grid}
    given = data or {f"synthetic phantom {key}": key for key in phantoms}
    path = write_result(name, values, made_with, given, arrays, **about)
    print(f"{path.name}: {len(grid)} runs, {sum(spent) / 60:.0f} minutes of computing")


def pictures(
    arms: Arms, slices: SliceSet, chosen: Sequence[int], channel: int = 0
) -> dict[str, np.ndarray]:
    """Test slices of the first fold, and the heatmap of each arm's first model.

    Images and outlines in bytes; relevance ``(n, H, W)``, channels summed, from -127 to
    127.
    """
    test = slices.subset(split(next(iter(arms.values()))[0], slices)["patients"])
    found = {
        "images": np.rint(255 * np.asarray(test.images)[chosen, channel]).astype("u1"),
        "tumor": np.asarray(test.tumor)[chosen].astype("u1"),
        "labels": np.asarray(test.labels)[chosen].astype("u1"),
    }
    x = torch.stack([test[i]["image"] for i in chosen])
    y = torch.as_tensor(np.asarray(test.labels)[chosen])
    for arm, (first, *_) in arms.items():
        trainer = Trainer(trained_model(first, slices), settings=first.settings)
        found[f"{arm}/relevance"] = in_bytes(trainer.explain(x, y)[1].sum(1).numpy())
    return found


def trained_model(run: Experiment, slices: SliceSet) -> torch.nn.Module:
    """The network of a finished run."""
    model = network_of(run, slices)
    return load_weights(
        model, cache_home() / "runs" / run.name / "checkpoint.safetensors"
    )


def in_bytes(heat: np.ndarray) -> np.ndarray:
    """Heatmaps ``(..., H, W)`` as signed bytes, each on its own scale."""
    peak = np.abs(heat).max((-2, -1), keepdims=True).clip(1e-12)
    return np.rint(127 * heat / peak).astype(np.int8)
