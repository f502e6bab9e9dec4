"""Do explainers agree, and what does guidance by one of them tell the others?

Networks guided by LRP, by the input gradient and by Grad-CAM, each of the two others at
two strengths; all from the first step on, in the training of ``schedules``, where
shortcuts are learned within a few epochs. Every explainer judges all of them on the
same slices: one of each of 30 patients of sites that no network was trained on, 15 of
either grade. What is right for one explainer alone was learned for that explainer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lrpbook_lib.attribution import (
    SIDE_BY_SIDE,
    agreement,
    control_regions,
    cost,
    effects_of_erasing,
    measure_maps,
    where_it_lies,
)
from lrpbook_lib.data import SliceSet
from lrpbook_lib.guidance import HINTLoss, RRRLoss, Schedule
from lrpbook_lib.training import compare
from lrpbook_lib.training.running import phantom_slices, split

from ..runs import run_arms, runs_folder, stamp
from ..twins import twin_intervals
from .common import intervals, over_seeds, rows, trained_network
from .protocol import COHORTS, GUIDED
from .schedules import ARMS as SCHEDULES, FAST, WARMUP

PATIENTS = 30
FROM_THE_START = GUIDED.but(**FAST, schedule=Schedule(delay=0, warmup=WARMUP))
ARMS = {
    "plain": SCHEDULES["GliomaCNN, LRPLoss", "plain"],
    "LRP": SCHEDULES["GliomaCNN, LRPLoss", "after 0"],
    **{
        f"input gradient {k}": over_seeds(FROM_THE_START.but(loss=RRRLoss(k)))
        for k in (3, 30)
    },
    **{
        f"Grad-CAM {k}": over_seeds(FROM_THE_START.but(loss=HINTLoss(k)))
        for k in (1, 10)
    },
}
#: Of these, everything is measured: one that looks anywhere, and one that does not.
THOROUGH = ("plain", "LRP")


def main(jobs: int) -> None:
    """Run, judge, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    slices = asked()
    x = torch.stack([slices[i]["image"] for i in range(len(slices))])
    y, tumor, brain = (
        torch.as_tensor(np.asarray(each))
        for each in (slices.labels, slices.tumor > 0, slices.brain)
    )
    told: dict[str, dict[str, list[pd.DataFrame]]] = {name: {} for name in SIDE_BY_SIDE}
    agreed, erased = {}, {}
    for arm, runs in ARMS.items():
        alike, effects = [], []
        for run in runs:
            network = trained_network(run).eval()
            maps = []
            for name, method in SIDE_BY_SIDE.items():
                explain = method.of(network)
                with torch.no_grad():
                    maps.append(explain(x, y)[1])
                found = (
                    measure_maps(explain, x, y, tumor, brain, maps[-1], draws=1)
                    if arm in THOROUGH
                    else where_it_lies(maps[-1], tumor, brain)
                )
                told[name].setdefault(arm, []).append(table(found, slices))
            alike.append(agreement(maps, absolute=True).mean(0))
            regions = {"tumor": tumor, **control_regions(tumor, brain)}
            lost = effects_of_erasing(network, x, regions, y)
            effects.append(table({k: v.abs() for k, v in lost.items()}, slices))
        agreed[arm] = torch.stack(alike).mean(0).numpy().round(4).tolist()
        erased[arm] = effects
    network = trained_network(ARMS["LRP"][0]).eval()
    values = {
        "patients": PATIENTS,
        "explainers": list(SIDE_BY_SIDE),
        "intervals": intervals(predictions, parts=["site"]),
        "twins": twin_intervals(ARMS),
        "matrix": [
            row | {"explainer": name}
            for name, arms in told.items()
            for row in compared(arms, "plain", ["score", "rank", "pointing", "chance"])
        ],
        "measures": [
            row | {"trained": arm}
            for arm in THOROUGH
            for row in compared({name: told[name][arm] for name in told}, "random")
        ],
        "agreement": agreed,
        "erased": compared(erased, "plain"),
        "passes": {
            name: round(cost(method.of(network), x[:8], y[:8], repeats=1).work, 1)
            for name, method in SIDE_BY_SIDE.items()
        },
    }
    stamp("explainers", values, ARMS)


def asked() -> SliceSet:
    """The slices: the middle one of the first patients of either grade at new sites."""
    slices = phantom_slices(COHORTS[0], runs_folder())
    new = slices.subset(split(ARMS["plain"][0], slices)["site"])
    table = pd.DataFrame({"patient": new.patient, "label": np.asarray(new.labels)})
    middle = table.groupby("patient", sort=True).nth(1).sort_values("patient")
    chosen = middle.groupby("label").head(PATIENTS // 2).index
    return new.subset(np.sort(chosen.to_numpy()))


def table(found: Mapping[str, Tensor], slices: SliceSet) -> pd.DataFrame:
    """Measures of each slice, with its patient."""
    numbers = {name: values.double().numpy() for name, values in found.items()}
    return pd.DataFrame({"patient": slices.patient, **numbers})


def compared(
    arms: Mapping[str, Sequence[pd.DataFrame]],
    against: str,
    columns: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Means of the columns of every arm, with intervals and paired differences."""

    def means(table: pd.DataFrame, weights: np.ndarray) -> dict[str, np.ndarray]:
        numbers = table[columns or [c for c in table if c != "patient"]]
        found = weights @ numbers.to_numpy() / weights.sum(1, keepdims=True)
        return dict(zip(numbers, found.T, strict=True))

    return rows(compare(arms, against, measure=means))
