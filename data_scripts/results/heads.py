"""Graz+ on synthetic whole heads: what networks rely on, by input and by loss.

One small network, linearly registered heads, three ways (the head as it is, the brain
alone, guided into the brain), five folds each; then a control. Every network is asked
the same questions on its own held-out people.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from lrpbook_lib.data import (
    HeadSettings,
    SliceSet,
    VolumeSettings,
    cached_heads,
    find_heads,
    head_volumes,
    read_truth,
)
from lrpbook_lib.files import digest
from lrpbook_lib.guidance import CrossEntropy, GrazPlusLoss, Schedule
from lrpbook_lib.training import Experiment, TrainSettings, bootstrap_interval
from lrpbook_lib.training.plain import to_dict

from ..runs import run_arms, stamp
from .common import collapsed, intervals, over_seeds, rows
from .heads_asked import (
    answers,
    auc_of,
    cost_of_steps,
    is_dead,
    mean_maps,
    randomized_maps,
    shares_of,
)

#: Other people than those of the chapter (seed 0), and than those (seed 1) on whom the
#: settings were chosen. Patients lose twice as much locally as by default: at 1, no
#: network of this size learned anything from so few people.
COHORT = HeadSettings(people=300, seed=2, spacing=6.0, local_effect=2.0)
SPACES = ("linear",)
GRAZ = GrazPlusLoss(1.0, region="brain")
#: How a network sees a head, the loss that it is trained with, and the learning rate:
#: the better of 5e-4 and 1e-3 on sixty other people (AUC unmasked 0.64 and 0.70, Graz+
#: 0.71 and 0.60).
WAYS: dict[str, tuple[str, CrossEntropy, float]] = {
    "unmasked": ("head", CrossEntropy(), 1e-3),
    "masked": ("brain", CrossEntropy(), 1e-3),
    "Graz+": ("head", GRAZ, 5e-4),
}
#: Guidance from the first step, nothing limited, as published; two of eight rows of a
#: batch are explained, for the price.
START = Experiment(
    data="heads linear head",
    held_out=(),
    model="GrazNetUnbiased",
    curve="none",
    settings=TrainSettings(
        epochs=12,
        batch_size=8,
        lr=5e-4,
        limit=None,
        schedule=Schedule(),
        guided=0.25,
        composite="zplus",
        start="softmax",
    ),
)
GRID = {
    f"{space}, {way}": over_seeds(
        START.but(data=f"heads {space} {seen}", loss=loss, lr=lr)
    )
    for space in SPACES
    for way, (seen, loss, lr) in WAYS.items()
}
#: The biases of the published network.
CONTROLS = {"Graz+, with biases": over_seeds(START.but(model="GrazNet", loss=GRAZ))}
ARMS = {**GRID, **CONTROLS}


@cache
def volumes(space: str, seen: str) -> SliceSet:
    """The cohort in a space, as a network sees it."""
    heads = find_heads(cached_heads(**to_dict(COHORT)), space)
    return head_volumes(heads, normalization=seen, spacing=COHORT.spacing)


def slices() -> dict[str, SliceSet]:
    """What the names in the experiments stand for."""
    return {
        f"heads {space} {seen}": volumes(space, seen)
        for space in SPACES
        for seen in ("head", "brain")
    }


def volume_alone(truth: pd.DataFrame) -> list[dict[str, Any]]:
    """How well single numbers tell the groups apart: the level to beat, and the oracle.

    AUC over all people of the cohort, with intervals over people.
    """
    label = (truth["group"] == "AD").to_numpy(int)
    numbers = {
        "age": truth["age"],
        "volume inside the skull": truth["head_ml"],
        "brain volume": -truth["brain_ml"],
        "brain over skull": -truth["brain_share"],
        "ventricles": truth["ventricles_ml"],
        "hippocampi": -truth["hippocampi_ml"],
        "hippocampi over skull": -truth["hippocampi_ml"] / truth["head_ml"],
        "lost hippocampus (oracle)": truth["hippocampus"],
    }
    made = []
    for name, values in numbers.items():
        table = pd.DataFrame(
            {"label": label, "p_1": values, "patient": truth["participant_id"]}
        )
        interval = bootstrap_interval(table, auc_of, draws=1000)
        made.append(
            {
                "what": name,
                "auc": interval.estimate,
                "low": interval.low,
                "high": interval.high,
            }
        )
    return rows(pd.DataFrame(made))


def seen_of(arm: str) -> tuple[str, str]:
    """Space of an arm, and how it sees heads."""
    space, _, way = arm.partition(", ")
    return (space, WAYS[way][0]) if way in WAYS else ("linear", "head")


def main(jobs: int) -> None:
    """Run, ask, stamp."""
    predictions = run_arms(ARMS, jobs, slices())
    asked, shares, maps, dead = {}, [], {}, {}
    for arm, runs in ARMS.items():
        seen = seen_of(arm)
        asked[arm] = answers(runs, *seen, volumes)
        dead[arm] = sum(is_dead(run, volumes(*seen)) for run in runs)
        found = shares_of(runs, *seen, volumes, COHORT)
        shares += [{"arm": arm, **row} for row in found]
        if arm in GRID:
            for group, image in mean_maps(runs, *seen, volumes, COHORT).items():
                maps[f"{arm}/{group}"] = image
    graz = ARMS["linear, Graz+"][0]
    values: dict[str, Any] = {
        "people": COHORT.people,
        "affine": VolumeSettings(spacing=COHORT.spacing, centered=False)
        .affine()
        .tolist(),
        "intervals": intervals(predictions, "linear, unmasked", ("patients",)),
        "alone": volume_alone(read_truth(cached_heads(**to_dict(COHORT)))),
        "asked": summed(asked),
        "shares": shares,
        "randomized": randomized_maps(graz, volumes("linear", "head")),
        "collapsed": collapsed(predictions),
        "dead": dead,
        "cost": cost_of_steps(),
    }
    key = digest(to_dict(COHORT))
    stamp("heads", values, ARMS, maps, {f"synthetic heads {key}": key})


def summed(asked: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """AUC of every arm for every question, and what is lost, intervals over people."""
    made = []
    for arm, table in asked.items():
        for question, part in table.groupby("question", sort=False):
            both = part.merge(
                table[table["question"] == "intact"], on=["patient", "run", "label"]
            )
            found = bootstrap_interval(both, _mean_auc("p_1_x"), draws=300)
            lost = bootstrap_interval(both, _mean_loss, draws=300)
            made.append(
                {
                    "arm": arm,
                    "question": question,
                    "auc": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "loss": lost.estimate,
                    "loss_low": lost.low,
                    "loss_high": lost.high,
                }
            )
    return rows(pd.DataFrame(made))


def _mean_auc(column: str) -> Any:
    def mean(table: pd.DataFrame) -> float:
        found = [
            auc_of(run.rename(columns={column: "p_1"})[["label", "p_1"]])
            for _, run in table.groupby("run")
        ]
        return float(np.nanmean(found)) if np.isfinite(found).any() else float("nan")

    return mean


def _mean_loss(table: pd.DataFrame) -> float:
    return _mean_auc("p_1_y")(table) - _mean_auc("p_1_x")(table)
