"""Whether a network's own map is faithful, and how many pixels decide.

Deletion curves of both own maps against LRP's and a random one, on test slices with
tumor, and what erasing the deciding pixels does to the answer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lrpbook_lib.attribution import (
    effects_of_erasing,
    explainer,
    flip_regions,
    random_map,
)
from lrpbook_lib.attribution.interventions import elsewhere
from lrpbook_lib.training import Experiment, bootstrap_interval

from ..runs import run_arms, runs_folder, stamp
from .common import rows, trained_network
from .inherent import OWN, parts_of_run, slices_of_run, train_and_cut, write
from .inherent_maps import ARMS as ALL

ARMS = {arm: ALL[arm] for arm in ("GP-UNet", "GP-ReconResNet")}
SLICES = 60


def main(jobs: int) -> None:
    """Run what was not run, measure, stamp."""
    run_arms(ARMS, jobs, task=train_and_cut)
    for runs in ARMS.values():
        for run in runs:
            measure(run)
    tables = [
        pd.read_csv(runs_folder() / run.name / "faith.csv").assign(arm=arm)
        for arm, runs in ARMS.items()
        for run in runs
    ]
    found = pd.concat(tables)
    names = [c for c in found.columns if c not in ("arm", "patient", "method")]
    told: list[dict[str, Any]] = []
    for (arm, method), group in found.groupby(["arm", "method"], sort=False):
        row = {"arm": arm, "method": method}
        for name in names:
            each = group[group[name].notna()]
            if len(each):
                mean = each.groupby("patient", as_index=False)[name].mean()
                interval = bootstrap_interval(mean, name, draws=1000)
                row |= {name: interval.estimate, f"{name}_low": interval.low}
                row |= {f"{name}_high": interval.high}
        told.append(row)
    stamp("inherent_faith", {"faith": rows(pd.DataFrame(told))}, ARMS)


def measure(run: Experiment) -> None:
    """A row a slice and map: areas of deletion, and effects of erasing its points."""
    path = runs_folder() / run.name / "faith.csv"
    if path.is_file():
        return
    network = trained_network(run)
    test = parts_of_run(run, slices_of_run(run, runs_folder(), None))["patients"]
    ill = test.subset(np.flatnonzero(test.labels < 2)[:SLICES])
    batch = ill.batch(range(len(ill)))
    x, label, brain = batch["image"], batch["label"], batch["brain"]
    tables = []
    for method, name, settings in OWN:
        with torch.no_grad():
            heat = explainer(network, name, check=False, **settings)(x, label)[1]
        tables.append(deleted(network, x, heat, label, brain).assign(method=method))
    tables.append(
        deleted(network, x, random_map(x), label, brain).assign(method="random")
    )
    tables.append(decided(network, x, label, brain).assign(method="deciding pixels"))
    table = pd.concat(tables)
    table["patient"] = np.tile(ill.patient, len(tables))
    write(path, table)


def deleted(
    network: torch.nn.Module, x: Tensor, heat: Tensor, label: Tensor, brain: Tensor
) -> pd.DataFrame:
    """The area between both curves, and under the curve of deletion."""
    flipped = flip_regions(network, x, heat, label, steps=12, source=brain)
    return pd.DataFrame(
        {"abpc": flipped.abpc.numpy(), "deletion": flipped.deletion.numpy()}
    )


def decided(network: Any, x: Tensor, label: Tensor, brain: Tensor) -> pd.DataFrame:
    """How many pixels hold a feature's maximum, and what erasing them does.

    Beside it as many pixels of the brain elsewhere, and both grown by two pixels.
    """
    with torch.no_grad():
        share = network.head.shares(network.trunk(x))
    points = (share != 0).any(1).reshape(len(x), *x.shape[2:])
    inside = points & brain
    wide = torch.nn.functional.max_pool2d(inside[:, None].float(), 5, 1, 2)[:, 0] > 0
    areas = {
        "points": inside,
        "points elsewhere": elsewhere(inside, brain),
        "around": wide & brain,
        "around elsewhere": elsewhere(wide & brain, brain),
    }
    effects = effects_of_erasing(network, x, areas, label, source=brain)
    found = {f"effect, {name}": e.numpy() for name, e in effects.items()}
    return pd.DataFrame({"points": points.flatten(1).sum(1).numpy(), **found})
