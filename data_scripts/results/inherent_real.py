"""Real slices: GP-UNet and GliomaCNN with LRP, from labels alone, cut and compared.

Three tumor types (Cheng, CC BY 4.0), and slices of TCGA-LGG patients with tumor or
without. All in the same way as on the phantom.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lrpbook_lib.attribution import segmentation_table
from lrpbook_lib.commands import real_data
from lrpbook_lib.data import (
    SliceRecipe,
    SliceSet,
    cheng_slices,
    extract_slices,
    find_cases,
)
from lrpbook_lib.training import Experiment
from lrpbook_lib.training.running import split

from ..runs import run_arms, runs_folder, stamp
from .common import intervals, over_seeds
from .inherent import (
    START,
    controls,
    joined,
    masked_regions,
    masked_unet,
    parts_of_run,
    read,
    regions,
    summary,
    train_and_cut,
    write,
)

FILE = "cheng/cheng_128.npz"
STACKS = "tcga_lgg/kaggle_3m"
CHENG, LGG = "cheng 64, cut", "tcga_lgg with and without 64"
CNN = START.but(held_out=())
GP = CNN.but(model="SmallGPUNet", composite="own", lr=2e-3, batch_size=8)
ARMS = {
    "Cheng, GliomaCNN": over_seeds(CNN.but(data=CHENG, epochs=8)),
    "Cheng, GP-UNet": over_seeds(GP.but(data=CHENG, epochs=8)),
    # Six patients: three folds, of which the inner ones are of a patient or two.
    "TCGA-LGG, GliomaCNN": over_seeds(CNN.but(data=LGG, epochs=40, folds=3)),
    "TCGA-LGG, GP-UNet": over_seeds(GP.but(data=LGG, epochs=40, folds=3)),
}


def main(jobs: int) -> None:
    """Run, cut, compare, stamp."""
    home = real_data(FILE)
    slices = {
        CHENG: cheng_slices(home / FILE, size=64),
        LGG: with_and_without(real_data(STACKS) / STACKS),
    }
    run_arms(ARMS, jobs, slices, task=train_and_cut)
    for arm in ARMS:
        if arm.endswith("GliomaCNN"):
            for run in ARMS[arm]:
                limits(run, slices[run.data])
    tested, cut = read(ARMS, "tested"), read(ARMS, "regions")
    bounds = read({a: r for a, r in ARMS.items() if a.endswith("GliomaCNN")}, "bounds")
    found = pd.concat([joined(cut), joined(bounds)])
    values = {
        name: intervals(
            {arm: runs for arm, runs in tested.items() if arm.startswith(name)},
            f"{name}, GliomaCNN",
            ["patients"],
        )
        for name in ("Cheng", "TCGA-LGG")
    }
    values["regions"] = summary(found, ("arm", "method", "rule", "part"))
    values["sizes"] = {
        name: [len(each), len(np.unique(each.patient))] for name, each in slices.items()
    }
    stamp(
        "inherent_real", values, ARMS, data={FILE: home / FILE, STACKS: home / STACKS}
    )


def with_and_without(folder: Path) -> SliceSet:
    """Slices of the patients that come as whole stacks; 0 with tumor, 1 healthy."""
    cases = find_cases(folder)
    recipe = SliceRecipe("all", min_tumor=50, min_brain=4000)
    whole = extract_slices(cases, ("t1", "flair", "t1ce"), recipe=recipe, size=64)
    return SliceSet.from_arrays(
        whole.images,
        np.where(whole.labels == len(whole.classes) - 1, 1, 0),
        whole.tumor,
        whole.brain,
        list(whole.patient),
        z=whole.z,
        sequences=whole.sequences,
        classes=("tumor", "healthy"),
    )


def limits(run: Experiment, slices: SliceSet) -> None:
    """A UNet that is told every pixel, and maps that know nothing."""
    path = runs_folder() / run.name / "bounds.csv"
    if path.is_file():
        return
    parts = parts_of_run(run, slices)
    test = parts["patients"]
    network = masked_unet(
        slices.subset(split(run, slices)["train"]), run.settings.seed, 10
    )
    table = segmentation_table(masked_regions(network, test), test.tumor, test.patient)
    about = {"method": "UNet with masks", "rule": "one half", "part": "patients"}
    blind = {name: controls(part) for name, part in parts.items()}
    heats = {
        m: [{name: maps[m] for name, maps in blind.items()}] for m in blind["learn"]
    }
    told = table.assign(label=test.labels, oracle=np.nan, **about)
    write(path, pd.concat([told, regions(heats, parts)]))
