"""Real tumors where the label can hardly be learned: WHO II against III in TCGA-LGG."""

from collections.abc import Mapping
from typing import Any

from lrpbook_lib.commands import real_data
from lrpbook_lib.data import tcga_lgg_slices
from lrpbook_lib.guidance import LRPLoss

from ..runs import Arms, stamp
from .protocol import BASE
from .real import every, judge

FILE = "tcga_lgg/tcga_lgg_128.npz"
START = BASE.but(data="tcga_lgg 64", held_out=())
CHANGES = {
    "plain": START,
    "power 1": START.but(loss=LRPLoss(1), guided=0.5),
    "oracle": START.but(view="tumor"),
}
RATES = (1e-3,)


def arms(values: Mapping[str, Any]) -> Arms:
    """All runs, once it is known which settings were chosen."""
    return every(CHANGES, RATES, values)


def main(jobs: int) -> None:
    """Search, run, compare, stamp."""
    file = real_data(FILE) / FILE
    values = judge(CHANGES, RATES, jobs, tcga_lgg_slices(file, size=64))
    stamp("tcga_lgg", values, arms(values), data={FILE: file})
