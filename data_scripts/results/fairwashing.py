"""Is it fairwashing? An audit of trained networks, and of some trained to deceive.

The networks of ``worth`` (first cohort) and ``schedules`` are those of their runs.
*Manipulated* are trained on twins whose label is the grade that their *site* treats,
whatever the tumor's, with relevance guided into the tumor: they cannot but decide by
the scanner, and are paid for a map that says otherwise.

All are asked the same: the middle slice of each patient at the held-out sites, and
twins of people that nobody was trained on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

from lrpbook_lib.audit import audit, middle_slices
from lrpbook_lib.data import SliceSet, twin_facts
from lrpbook_lib.data.phantom.scanner import SITES
from lrpbook_lib.files import in_processes, usable_cores
from lrpbook_lib.guidance import Schedule
from lrpbook_lib.training import Experiment, summarize
from lrpbook_lib.training.running import phantom_slices, seen

from ..runs import run_arms, runs_folder, stamp
from ..twins import twins_of
from .common import over_seeds, rows, trained_network
from .protocol import COHORTS, GUIDED
from .schedules import ARMS as SCHEDULES
from .worth import ARMS as WORTH

#: The first people of the twins are for training the manipulated, the rest for asking.
TAUGHT = 20
PATIENTS = 60
NAME = "twins of cohort 1, people 0 to 19, labeled by their site"

MANIPULATED = GUIDED.but(
    data=NAME,
    held_out=("F", "G"),
    epochs=15,
    milestones=(),
    average=0,
    augment=None,
    guided=1.0,
    schedule=Schedule(),
)
ARMS: dict[str, list[Experiment]] = {
    **{
        arm: WORTH[arm, 1]
        for arm in ("plain", "power 1", "power 1, late", "swapped", "oracle")
    },
    **{
        f"short, {arm}": SCHEDULES["GliomaCNN, LRPLoss", arm]
        for arm in ("plain", "after 0", "after 3", "after 9", "after 18")
    },
    "manipulated": over_seeds(MANIPULATED),
}


def labeled_by_site(twins: SliceSet) -> SliceSet:
    """Twins of the first people, with the grade that their site treats as the label."""
    person = twin_facts(twins)["person"].to_numpy()
    taught = twins.subset(person < np.unique(person)[TAUGHT])
    treats = {site.name: site.grades for site in SITES}
    labels = [
        taught.classes.index(treats[site]) if treats[site] != "mixed" else own
        for site, own in zip(taught.site, taught.labels, strict=True)
    ]
    return replace(taught, table={**taught.table, "labels": np.array(labels)})


def main(jobs: int) -> None:
    """Train the manipulated, ask everybody, stamp."""
    twins, whole = twins_of(COHORTS[0]), phantom_slices(COHORTS[0], runs_folder())
    told = run_arms(ARMS, jobs, {NAME: labeled_by_site(twins)})
    person = twin_facts(twins)["person"].to_numpy()
    unseen = twins.subset(person >= np.unique(person)[TAUGHT])
    held = whole.subset(np.isin(whole.site, MANIPULATED.held_out))
    slices = middle_slices(held, PATIENTS)
    runs = [(arm, run) for arm, every in ARMS.items() for run in every]
    calls = (delayed(ask)(run, slices, unseen) for _, run in runs)
    found = dict(in_processes(calls, jobs or usable_cores(), len(runs), "audits"))
    tables, networks = [], []
    for arm, every in ARMS.items():
        for seed, (run, said) in enumerate(zip(every, told[arm], strict=True)):
            who = {"arm": arm, "seed": seed}
            tables.append(found[run.name].assign(**who))
            auc = summarize(said[said["part"] == "site"])["auc"]
            networks.append({**who, "auc_site": round(auc, 4)})
    values = {
        "patients": len(slices),
        "people": len(set(twin_facts(unseen)["person"])),
        "audits": rows(pd.concat(tables)),
        "networks": networks,
    }
    stamp("fairwashing", values, ARMS)


def ask(run: Experiment, slices: SliceSet, twins: SliceSet) -> tuple[str, Any]:
    """The audit of one network, on slices as it sees them."""
    slices, twins = (seen(run, runs_folder(), each) for each in (slices, twins))
    return run.name, audit(trained_network(run), slices, twins=twins).table
