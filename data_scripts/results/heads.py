"""Graz+ on synthetic whole heads: what networks rely on, by preprocessing and input.

One small network, three spaces, three ways (the head as it is, the brain alone, guided
into the brain), five folds each; then controls in the native space. Every network is
asked the same questions on its own held-out people.
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
    cached_heads,
    find_heads,
    head_volumes,
    read_truth,
)
from lrpbook_lib.files import digest
from lrpbook_lib.guidance import GrazPlusLoss, RRRLoss, Schedule
from lrpbook_lib.training import Experiment, TrainSettings, bootstrap_interval, compare
from lrpbook_lib.training.plain import to_dict

from ..runs import run_arms, stamp
from .common import over_seeds, rows
from .heads_asked import (
    answers,
    auc_of,
    cost_of_steps,
    mean_maps,
    randomized_maps,
    shares_of,
)

#: Other people than those of the chapter, who have seed 0.
COHORT = HeadSettings(people=100, seed=1, spacing=4.0)
SPACES = ("native", "linear", "nonlinear")
#: How a network sees a head, and the loss that it is trained with.
WAYS = {
    "unmasked": ("head", None),
    "masked": ("brain", None),
    "Graz+": ("head", GrazPlusLoss(1.0, region="brain")),
}
START = Experiment(
    data="heads native head",
    held_out=(),
    model="GrazNet",
    curve="none",
    settings=TrainSettings(
        epochs=8,
        batch_size=4,
        lr=1e-3,
        limit=None,
        schedule=Schedule(),
        composite="zplus",
        start="softmax",
    ),
)
ARMS = {
    f"{space}, {way}": over_seeds(
        START.but(data=f"heads {space} {seen}", **({"loss": loss} if loss else {}))
    )
    for space in SPACES
    for way, (seen, loss) in WAYS.items()
}
#: In the native space: another region to be rewarded, and a loss on the gradient.
CONTROLS = {
    "Graz+, outside the brain": over_seeds(
        START.but(data="heads native outside", loss=GrazPlusLoss(1.0, region="brain"))
    ),
    "Graz+, affected regions": over_seeds(
        START.but(loss=GrazPlusLoss(1.0, region="tumor"))
    ),
    "RRR": over_seeds(
        START.but(data="heads native target", loss=RRRLoss(100.0), limit=0.5)
    ),
}
#: What changes between training and test, one thing at a time.
CHANGED = {
    "as in training": {},
    "other skull stripping": {"stripping_error": 3.0, "stripping_shift": 4.0},
    "other registration": {"registration_error": 4.0},
    "other scanners": {"first_site": 10},
}


@cache
def volumes(space: str, seen: str, **knobs: float) -> SliceSet:
    """The cohort in a space, as a network sees it; `knobs` change the cohort."""
    settings = {**to_dict(COHORT), **knobs}
    return head_volumes(find_heads(cached_heads(**settings), space), normalization=seen)


def slices() -> dict[str, SliceSet]:
    """What the names in the experiments stand for."""
    found = {
        f"heads {space} {seen}": volumes(space, seen)
        for space in SPACES
        for seen in ("head", "brain")
    }
    native = found["heads native head"]
    outside = (native.images[:, 0] > 0.1) & ~native.brain
    found["heads native outside"] = native.with_arrays(brain=outside)
    found["heads native target"] = native.with_arrays(tumor=native.brain)
    return found


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
    return (space, WAYS[way][0]) if way in WAYS else ("native", "head")


def main(jobs: int) -> None:
    """Run, ask, stamp."""
    every = {**ARMS, **CONTROLS}
    predictions = run_arms(every, jobs, slices())
    keep = ["auc", "balanced_accuracy"]
    table = compare(
        {
            a: [r[r["part"] == "patients"] for r in runs]
            for a, runs in predictions.items()
        },
        "native, unmasked",
    )
    asked = {
        arm: answers(runs, *seen_of(arm), volumes, CHANGED)
        for arm, runs in every.items()
    }
    shares = {
        arm: shares_of(runs, *seen_of(arm), volumes, COHORT)
        for arm, runs in every.items()
    }
    maps = {
        f"{arm}/{group}": image
        for arm, runs in ARMS.items()
        for group, image in mean_maps(runs, *seen_of(arm), volumes, COHORT).items()
    }
    values: dict[str, Any] = {
        "people": COHORT.people,
        "intervals": rows(table[table["metric"].isin(keep)]),
        "alone": volume_alone(read_truth(cached_heads(**to_dict(COHORT)))),
        "asked": summed(asked),
        "shares": [
            {"arm": arm, **row} for arm, found in shares.items() for row in found
        ],
        "randomized": randomized_maps(
            ARMS["native, Graz+"][0], volumes("native", "head")
        ),
        "cost": cost_of_steps(),
    }
    key = digest(to_dict(COHORT))
    stamp("heads", values, every, maps, {f"synthetic heads {key}": key})


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
