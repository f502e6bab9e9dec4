"""Real sites: does a network that was trained where site is grade fall elsewhere?

One slice of each patient of BraTS 2020, without masks. Networks learn on sites that
sent one grade, and are tested on random patients of theirs and on the sites that sent
both. What five intensities come to (``five_numbers``) stands beside them.

Settings are chosen on random patients of the training, where what tells the site
helps: patients of other sites that could choose better belong to the test.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import RandomizeScanner
from lrpbook_lib.training import GroupBalanced

from ..runs import Arms, run_arms, stamp
from .common import intervals
from .five_numbers import (
    FILE,
    FOLDS,
    MIXED,
    TABLE,
    fall,
    five_numbers,
    foretold,
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
    return {**SEARCHED, **settled(CHANGES, values)}


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
    values |= {
        "sites": pd.crosstab(slices.site, slices.labels).T.to_dict("list"),
        "intervals": intervals(runs),
        "falls": {arm: fall(each) for arm, each in runs.items()},
    }
    data = {FILE: home / FILE, TABLE: home / TABLE}
    stamp("brats_sites", values, arms(values), data=data)
