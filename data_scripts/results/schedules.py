"""When guidance must begin: one training to the end, guided early, guided late.

Slices are not augmented here, so that shortcuts are learned within a few epochs. What
augmentation makes of a late start, the arm *late* of ``worth`` tells.
"""

import numpy as np
import pandas as pd
import torch

from lrpbook_lib.data import twin_facts
from lrpbook_lib.data.phantom.scanner import SITES
from lrpbook_lib.guidance import Schedule
from lrpbook_lib.training import Experiment, Trainer

from ..runs import run_arms, stamp
from ..twins import twin_intervals, twins_of
from .common import in_bytes, intervals, over_seeds, trained_network
from .protocol import BASE, COHORTS, GUIDED

EPOCHS, WARMUP = 30, 3
FAST = {"epochs": EPOCHS, "milestones": (), "augment": None}
#: Epochs before guidance begins; 3 is the default.
DELAYS = (0, 3, 9, 18)


def delayed(start: Experiment, delays: tuple[int, ...]) -> dict[str, Experiment]:
    """The training with guidance that begins after each of so many epochs."""
    return {
        f"after {delay}": start.but(schedule=Schedule(delay=delay, warmup=WARMUP))
        for delay in delays
    }


#: Network and loss, and the trainings that are compared: the first is plain.
STUDIES = {
    "GliomaCNN, LRPLoss": {
        "plain": BASE.but(**FAST),
        **delayed(GUIDED.but(**FAST), DELAYS),
    },
}
ARMS = {
    (study, arm): over_seeds(start)
    for study, arms in STUDIES.items()
    for arm, start in arms.items()
}


def main(jobs: int) -> None:
    """Run, compare, stamp."""
    predictions = run_arms(ARMS, jobs)
    found, twins = [], []
    for study in STUDIES:
        mine = {arm: runs for (s, arm), runs in ARMS.items() if s == study}
        said = {arm: runs for (s, arm), runs in predictions.items() if s == study}
        found += [row | {"study": study} for row in intervals(said)]
        twins += [row | {"study": study} for row in twin_intervals(mine)]
    values = {
        "epochs": EPOCHS,
        "delays": DELAYS,
        "intervals": found,
        "twins": twins,
    }
    stamp("schedules", values, ARMS, pictures())


def pictures(people: int = 2) -> dict[str, np.ndarray]:
    """Twins whose tumor says one grade and whose scanner the other, start by start.

    Of the first people, of either grade, at the first site that treats the other grade
    only: the middle slice, with what the first seed's networks make of it.
    """
    twins = twins_of(COHORTS[0])
    facts, treats = twin_facts(twins), {site.grades: site.name for site in SITES[::-1]}
    chosen = []
    for person in sorted(set(facts["person"]))[:people]:
        for grade, other in (("LGG", "HGG"), ("HGG", "LGG")):
            wanted = {"person": person, "grade": grade, "site": treats[other]}
            rows = np.flatnonzero(
                (facts[list(wanted)] == pd.Series(wanted)).all(axis=1)
            )
            chosen.append(int(rows[len(rows) // 2]))
    x = torch.stack([twins[i]["image"] for i in chosen])
    y = torch.as_tensor(np.asarray(twins.labels)[chosen])
    heat, probability = [], []
    for delay in DELAYS:
        run = ARMS["GliomaCNN, LRPLoss", f"after {delay}"][0]
        trainer = Trainer(trained_network(run), settings=run.settings)
        logits, relevance = trainer.explain(x, y)
        heat.append(in_bytes(relevance.sum(1).numpy()))
        probability.append(logits.softmax(1).gather(1, y[:, None])[:, 0].numpy())
    flair = list(twins.sequences).index("flair")
    return {
        "images": np.rint(255 * x[:, flair].numpy()).astype("u1"),
        "tumor": np.asarray(twins.tumor)[chosen].astype("u1"),
        "labels": y.numpy().astype("u1"),
        "relevance": np.stack(heat),
        "probability": np.stack(probability).astype(np.float32),
    }
