"""Real sites: does a network that was trained where site is grade fall elsewhere?

One slice of each patient of BraTS 2020, without masks. Networks learn on sites that
sent one grade, and are tested on random patients of theirs and on the sites that sent
both; beside them, networks that learned on random patients of all sites, so that the
same patients are tested once by who knows their sites and once by who does not. What
five intensities come to (``five_numbers``) stands beside both.

Settings are chosen on random patients of the training, where what tells the site
helps: patients of other sites that could choose better belong to the test.
"""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import pandas as pd

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import RandomizeScanner
from lrpbook_lib.training import Experiment, GroupBalanced

from ..runs import Arms, run_arms, stamp
from .common import SEEDS, intervals
from .five_numbers import (
    FILE,
    FOLDS,
    MIXED,
    TABLE,
    fall,
    five_numbers,
    foretold,
    same_patients,
    told,
)
from .protocol import BASE
from .real import candidates, choose, settled

START = BASE.but(
    data="brats2020_t1ce 64, site told",
    held_out=MIXED,
    epochs=30,
    milestones=(10, 20),
)
CHANGES = {
    "plain": START,
    "scanner randomized": START.but(augment=RandomizeScanner()),
    "grades balanced": START.but(groups=GroupBalanced("label")),
    "sites balanced": START.but(groups=GroupBalanced("site")),
}
SEARCHED = candidates(CHANGES, CHANGES)


def arms(values: Mapping[str, Any]) -> Arms:
    """All runs, once it is known which settings were chosen."""
    known = [e for seed in all_sites(values) for e in seed]
    return {**SEARCHED, **settled(CHANGES, values), "all sites": known}


def all_sites(values: Mapping[str, Any]) -> list[list[Experiment]]:
    """Plain on random patients of all sites, each tested once a seed: seed by seed."""
    first = settled(CHANGES, values)["plain"][0].but(held_out=())
    folds = range(first.folds)
    return [[first.but(seed=s, fold=f) for f in folds] for s in range(SEEDS)]


def main(jobs: int) -> None:
    """Search, run, compare, stamp."""
    home = real_data(FILE, TABLE)
    slices = told(home, 64)
    given = {START.data: slices}
    run_arms(SEARCHED, jobs, given)
    values = choose(SEARCHED)
    runs = run_arms(settled(CHANGES, values), jobs, given)
    numbers = five_numbers(told(home))
    runs["five numbers"] = [foretold(e, slices, numbers) for e in FOLDS]
    known = list(run_arms(dict(enumerate(all_sites(values))), jobs, given).values())
    values |= {
        "sites": pd.crosstab(slices.site, slices.labels).T.to_dict("list"),
        "intervals": intervals(runs),
        "falls": {arm: fall(each) for arm, each in runs.items()},
        "everywhere": intervals({"plain": [*chain(*known)]}, None, ["patients"]),
        "same_patients": same_patients(runs["plain"], known),
    }
    data = {FILE: home / FILE, TABLE: home / TABLE}
    stamp("brats_sites", values, arms(values), data=data)
