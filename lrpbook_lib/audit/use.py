"""What a network uses: regions erased, backgrounds exchanged, twins."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lrpbook_lib.attribution import control_regions, imputer
from lrpbook_lib.attribution.interventions import logits_of
from lrpbook_lib.data import SliceSet, SwapBackground
from lrpbook_lib.training.twins import twin_measures, twin_table

from .evidence import Evidence, Statistic, balanced_mean, share_of

FILLS = ("mean", "inpaint")


def margin(logits: Tensor, target: Tensor) -> Tensor:
    r"""Log odds of a class, :math:`\log p_t / (1 - p_t)`, ``(B,)``."""
    mine = logits.gather(1, target[:, None])
    others = logits.scatter(1, target[:, None], float("-inf"))
    return mine[:, 0] - others.logsumexp(1)


def changes(
    model: nn.Module, x: Tensor, region: Tensor, brain: Tensor, fill: str
) -> np.ndarray:
    """How far the log odds of the answer move when a region is erased, ``(B,)``."""
    logits = logits_of(model, x)
    said = logits.argmax(1)
    erased = logits_of(model, imputer(fill)(x, region, brain))
    return (margin(logits, said) - margin(erased, said)).abs().numpy()


def by_erasing(
    model: nn.Module,
    x: Tensor,
    tumor: Tensor,
    brain: Tensor,
    who: np.ndarray,
    seed: int,
) -> Iterator[Evidence]:
    """The tumor erased, against its mirror image and as much brain elsewhere."""
    regions = control_regions(tumor, brain, seed=seed)
    for fill in FILLS:
        moved = {k: changes(model, x, r, brain, fill) for k, r in regions.items()}
        for control in ("elsewhere", "mirror"):
            words = "its mirror image" if control == "mirror" else control
            yield Evidence(
                "causal use",
                f"change by erasing the tumor, beside {words} ({fill})",
                share_of(moved["region"], moved[control]),
                0.5,
                "as much change by either",
                (
                    "the answer hangs on the pixels of the tumor",
                    "the tumor's pixels move the answer no more than others",
                    "other pixels move the answer more than the tumor's",
                ),
                who,
            )


def by_background(
    model: nn.Module, x: Tensor, slices: SliceSet, seed: int
) -> Iterator[Evidence]:
    """Each tumor in the brain of a patient of another class: whose side is taken?"""
    labels = np.asarray(slices.labels)
    if len(set(labels.tolist())) < 2 or (labels < 0).any():
        return
    rng = np.random.default_rng(seed)
    donor = np.array([rng.choice(np.flatnonzero(labels != own)) for own in labels])
    tumor, brain = (torch.from_numpy(np.array(a)) for a in (slices.tumor, slices.brain))
    parts = (x[donor], tumor[donor], brain[donor])
    made, _, _ = SwapBackground().change(x, tumor, brain, None, *parts)
    logits = logits_of(model, made).numpy()
    here = np.arange(len(labels))
    gap = logits[here, labels] - logits[here, labels[donor]]
    yield Evidence(
        "causal use",
        "tumors in brains of another class: answers that side with the tumor",
        balanced_mean((np.sign(gap) + 1) / 2, labels),
        0.5,
        "tumor and background count the same",
        (
            "the answer goes with the tumor more often than with what surrounds it",
            "the answer follows neither tumor nor background surely",
            "the answer goes with what surrounds the tumor more often than with it",
        ),
        slices.patient,
    )


def answers_to_twins(model: nn.Module, twins: SliceSet) -> pd.DataFrame:
    """A row a twin, as :func:`~lrpbook_lib.training.twin_table`; no map is made."""
    x = torch.from_numpy(np.array(twins.images))
    p = logits_of(model, x).softmax(1).numpy()
    given = {"label": twins.labels, "p_0": p[:, 0], "p_1": p[:, 1]}
    who = {"patient": twins.patient, "site": twins.site}
    return twin_table(pd.DataFrame({**who, **given, "score": 0.0, "chance": 0.0}))


def by_twins(model: nn.Module, twins: SliceSet) -> Iterator[Evidence]:
    """Counterfactual twins: the same person with either tumor, on every scanner."""
    table = answers_to_twins(model, twins)
    who = table["person"].to_numpy()

    def told(name: str) -> Statistic:
        return lambda weight: twin_measures(table, weight)[name]

    yield Evidence(
        "counterfactual twins",
        "AUC of the tumor's grade where the scanner says the other",
        told("auc_against_scanner"),
        0.5,
        "neither",
        (
            "the answer follows the tumor more often than the scanner",
            "the answer follows neither tumor nor scanner surely",
            "the answer follows the scanner more often than the tumor",
        ),
        who,
    )
    yield Evidence(
        "counterfactual twins",
        "share of the answers' variance by the tumor's grade",
        told("by_grade"),
        told("by_scanner"),
        "share by the scanner",
        (
            "the tumor's grade moves the answer more than the scanner",
            "tumor and scanner move the answer about as much",
            "the scanner moves the answer more than the tumor's grade",
        ),
        who,
    )
