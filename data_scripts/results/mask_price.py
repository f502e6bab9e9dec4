"""What masks buy: a GP-UNet guided by few or many, against a UNet that has only them.

A share of the training patients has masks; labels all have. On ``tied`` sites, where a
shortcut can be taken, guided and plain networks are also graded at sites none has seen.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lrpbook_lib.attribution import segmentation_table
from lrpbook_lib.guidance import BCELoss, EnergyLoss, LRPLoss, annotated
from lrpbook_lib.training import Experiment
from lrpbook_lib.training.running import split

from ..runs import run_arms, runs_folder, stamp
from .common import intervals, over_seeds
from .inherent import (
    joined,
    masked_regions,
    masked_unet,
    parts_of_run,
    read,
    slices_of_run,
    summary,
    train_and_cut,
    write,
)
from .inherent_maps import ARMS as PLAIN

SHARES = {"1 %": 0.01, "5 %": 0.05, "10 %": 0.1, "50 %": 0.5, "100 %": 1.0}
#: Losses on the network's own map. The pull has to be strong enough to be seen at all.
LOSSES = {"BCE": BCELoss(1.0), "energy": EnergyLoss(1.0), "power 1": LRPLoss(1)}

START = PLAIN["GP-UNet"][0]
TIED = PLAIN["GP-UNet, tied"][0]


def guided(loss: str, share: str, start: Experiment = START) -> list[Experiment]:
    """The seeds of one loss at one share of masks."""
    return over_seeds(start.but(loss=LOSSES[loss], share=SHARES[share]))


#: One loss over all shares, the others where there is most to be had.
ARMS = {
    "GP-UNet, no masks": PLAIN["GP-UNet"],
    **{f"GP-UNet, BCE, {share}": guided("BCE", share) for share in SHARES},
    **{
        f"GP-UNet, {loss}, 100 %": guided(loss, "100 %")
        for loss in ("energy", "power 1")
    },
    "GP-UNet, tied": PLAIN["GP-UNet, tied"],
    "GP-UNet, BCE, 100 %, tied": guided("BCE", "100 %", TIED),
}


def main(jobs: int) -> None:
    """Run, cut, compare, stamp."""
    run_arms(ARMS, jobs, task=train_and_cut)
    for run in PLAIN["GP-UNet"]:
        masks_alone(run)
    tested = read(ARMS, "tested")
    alone = read({"UNet": PLAIN["GP-UNet"]}, "masks_alone")
    free = {arm: runs for arm, runs in tested.items() if "tied" not in arm}
    tied = {arm: runs for arm, runs in tested.items() if "tied" in arm}
    values = {
        "intervals": intervals(free, "GP-UNet, no masks"),
        "tied": intervals(tied, "GP-UNet, tied"),
        "regions": summary(
            joined(read(ARMS, "regions")), ("arm", "method", "rule", "part")
        ),
        "unet": summary(joined(alone), ("share", "part")),
    }
    stamp("mask_price", values, ARMS)


def masks_alone(run: Experiment) -> None:
    """Regions of a UNet trained on the annotated patients, and on nothing else."""
    path = runs_folder() / run.name / "masks_alone.csv"
    if path.is_file():
        return
    slices = slices_of_run(run, runs_folder(), None)
    train = slices.subset(split(run, slices)["train"])
    parts = parts_of_run(run, slices)
    tables = []
    for name, share in SHARES.items():
        known = train.subset(annotated(train.patient, share, seed=0))
        # As many steps as with all of them: few masks are seen more often.
        epochs = min(round(10 * len(train) / len(known)), 60)
        network = masked_unet(known, run.settings.seed, epochs)
        for part in parts.keys() - {"learn"}:
            test = parts[part]
            found = masked_regions(network, test)
            table = segmentation_table(found, test.tumor, test.patient)
            tables.append(table.assign(share=name, part=part, oracle=np.nan))
    write(path, pd.concat(tables))
