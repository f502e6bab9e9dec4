"""Segmentation from labels alone: three GP networks, their rivals and their controls.

Synthetic patients, slices of three classes. On ``free`` sites nothing but the tumor
tells the grade; on ``tied`` ones the scanner does, as in BraTS.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lrpbook_lib.attribution import segmentation_table
from lrpbook_lib.training import Experiment
from lrpbook_lib.training.running import split

from ..runs import run_arms, runs_folder, stamp
from .common import intervals, over_seeds
from .inherent import (
    FREE,
    START,
    TIED,
    controls,
    grading,
    joined,
    masked_regions,
    masked_unet,
    parts_of_run,
    read,
    regions,
    slices_of_run,
    summary,
    train_and_cut,
    write,
)

OWN = START.but(composite="own", lr=2e-3, batch_size=8)
FREE_ARMS = {
    "GliomaCNN": START.but(data=FREE),
    "GP-UNet": OWN.but(data=FREE, model="SmallGPUNet"),
    "GP-ReconResNet": OWN.but(data=FREE, model="SmallGPReconResNet"),
    "GP-ShuffleUNet": OWN.but(data=FREE, model="SmallGPShuffleUNet"),
}
TIED_ARMS = {
    "GliomaCNN, tied": START.but(data=TIED),
    "GP-UNet, tied": OWN.but(data=TIED, model="SmallGPUNet"),
}
ARMS = {name: over_seeds(run) for name, run in (FREE_ARMS | TIED_ARMS).items()}


def main(jobs: int) -> None:
    """Run, cut, compare, stamp."""
    run_arms(ARMS, jobs, task=train_and_cut)
    for run in ARMS["GliomaCNN"]:
        bounds(run)
    tested, cut = read(ARMS, "tested"), read(ARMS, "regions")
    limits = read({"bounds": ARMS["GliomaCNN"]}, "bounds")
    classes = ("LGG", "HGG", "healthy")
    free = {arm: tested[arm] for arm in FREE_ARMS}
    tied = {arm: tested[arm] for arm in TIED_ARMS}
    grades = {
        arm: [grading(run, classes) for run in runs] for arm, runs in tested.items()
    }
    found = pd.concat([joined(cut), joined(limits)])
    values = {
        "intervals": intervals(free, "GliomaCNN"),
        "tied": intervals(tied, "GliomaCNN, tied"),
        "grades": intervals(grades, None),
        "regions": summary(found, ("arm", "method", "rule", "part")),
        "by_grade": summary(
            found[(found["part"] == "patients") & (found["label"] < 2)],
            ("arm", "method", "rule", "label"),
        ),
    }
    stamp("inherent_maps", values, ARMS)


def bounds(run: Experiment) -> None:
    """Regions of a UNet that is told every pixel, and of maps that know nothing."""
    path = runs_folder() / run.name / "bounds.csv"
    if path.is_file():
        return
    slices = slices_of_run(run, runs_folder(), None)
    parts = parts_of_run(run, slices)
    network = masked_unet(slices.subset(split(run, slices)["train"]), run.settings.seed)
    told = []
    for name in parts.keys() - {"learn"}:
        part = parts[name]
        table = segmentation_table(
            masked_regions(network, part), part.tumor, part.patient
        )
        about = {"method": "UNet with masks", "rule": "one half", "part": name}
        told.append(table.assign(label=part.labels, oracle=np.nan, **about))
    blind = {name: controls(part) for name, part in parts.items()}
    heats = {
        method: [{name: maps[method] for name, maps in blind.items()}]
        for method in blind["learn"]
    }
    write(path, pd.concat([*told, regions(heats, parts)]))
