"""What a split by slices is worth: the same networks, with and without their patients.

Slices of one patient are 6 mm apart. Split by slice, most patients of the test are also
among those trained on.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from lrpbook_lib.data import SliceSet
from lrpbook_lib.training.running import phantom_slices, split

from ..runs import run_arms, runs_folder, stamp
from .common import intervals, over_seeds
from .inherent import FREE, grading, joined, read, summary, train_and_cut
from .inherent_maps import ARMS as CLEAN

#: The networks that are trained again with leaking slices.
AGAIN = ("GliomaCNN", "GP-UNet")
LEAKY = "free slices, each a patient of its own"
LEAKS = {
    f"{arm}, by slice": over_seeds(CLEAN[arm][0].but(data=LEAKY, held_out=()))
    for arm in AGAIN
}
ARMS = {**{arm: CLEAN[arm] for arm in AGAIN}, **LEAKS}


def leaking() -> SliceSet:
    """Slices of the sites that training sees, under names that tell no patient."""
    slices = phantom_slices(FREE, runs_folder())
    held = set(slices.site) - trained_sites(slices)
    rest = slices.subset([i for i, s in enumerate(slices.site) if s not in held])
    names = [f"{p} {z}" for p, z in zip(rest.patient, rest.z, strict=True)]
    rest.table["patient"] = np.array(names)
    return rest


def trained_sites(slices: SliceSet) -> set[str]:
    """Sites that the clean runs train on."""
    train = split(CLEAN["GliomaCNN"][0], slices)["train"]
    return set(slices.site[train])


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    given = {LEAKY: leaking()}
    run_arms(ARMS, jobs, given, task=train_and_cut)
    classes = ("LGG", "HGG", "healthy")
    tested = {arm: own_patients(runs) for arm, runs in read(ARMS, "tested").items()}
    grades = {
        arm: [grading(run, classes) for run in runs] for arm, runs in tested.items()
    }
    cut = read(ARMS, "regions")
    values = {
        "intervals": intervals(tested, None, ["patients"]),
        "grades": intervals(grades, None, ["patients"]),
        "regions": summary(
            joined({arm: own_patients(runs) for arm, runs in cut.items()}),
            ("arm", "method", "rule", "part"),
        ),
    }
    stamp("leakage", values, ARMS)


def own_patients(runs: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Tables in which a slice belongs to its patient again."""
    return [run.assign(patient=run["patient"].str.split(" ").str[0]) for run in runs]
