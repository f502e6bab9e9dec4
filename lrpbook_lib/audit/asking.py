"""One call for all tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lrpbook_lib.attribution.maps import evaluation_form
from lrpbook_lib.data import SliceSet
from lrpbook_lib.training import TrainedModel

from .evidence import Evidence
from .looks import OTHERS, by_cause, by_explainers, by_sanity, by_shaking, maps_of
from .report import AuditReport
from .use import by_background, by_erasing, by_twins


def audit(
    model: nn.Module | TrainedModel,
    slices: SliceSet,
    *,
    twins: SliceSet | None = None,
    explainer: Any = None,
    others: Sequence[Any] = OTHERS,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> AuditReport:
    """Does a network use what its heatmap shows?

    Parameters
    ----------
    model : nn.Module or TrainedModel
        Of two-dimensional slices; stays as it is.
    slices : SliceSet
        As the network sees them, of patients that it was not trained on. Slices without
        a tumor are left out.
    twins : SliceSet, optional
        Of a phantom made with ``twins`` and the scanners of the training: the only test
        whose answer no correlation in the data can mimic.
    explainer : str or Composite, optional
        The one that guided the training; default the model's own rules, or
        ``"epsilon-plus"``.
    others : sequence of str or Composite
        Explainers that nobody was paid for.
    level, draws, seed
        Of the bootstrap over patients; the seed decides every other draw as well.

    Returns
    -------
    AuditReport

    Examples
    --------
    >>> report = audit(read_model("guided"), slices, twins=twins)
    >>> report.table[["test", "measure", "estimate", "reference", "verdict"]]
    """
    name, network = type(model).__name__, model
    if isinstance(model, TrainedModel):
        name, network = model.name, model.network
        _must_fit(model, slices)
        explainer = explainer or model.composite
    assert isinstance(network, nn.Module)
    shown = _with_tumor(slices)
    if not shown.any():
        raise ValueError("slices: none shows a tumor, and the audit asks what one does")
    slices = slices.subset(shown)
    with evaluation_form(network):
        found = list(
            _all(network, slices, twins, explainer or "epsilon-plus", others, seed)
        )
    table = pd.DataFrame([each.row(level, draws, seed) for each in found])
    missing = {"causal use": 5, "counterfactual twins": 2}
    skipped = tuple(
        _WHY[test] for test, rows in missing.items() if sum(table.test == test) < rows
    )
    return AuditReport(name, table, len(slices), level, seed, skipped)


_WHY = {
    "causal use": "exchanged backgrounds: labels of two classes are needed, all known",
    "counterfactual twins": "twins: none were given; only a phantom has them",
}


def _all(
    network: nn.Module,
    slices: SliceSet,
    twins: SliceSet | None,
    name: Any,
    others: Sequence[Any],
    seed: int,
) -> Iterator[Evidence]:
    x, tumor, brain = (
        torch.from_numpy(np.array(each))
        for each in (slices.images, slices.tumor, slices.brain)
    )
    who = slices.patient
    heat = maps_of(network, x, name)
    yield from by_erasing(network, x, tumor, brain, who, seed)
    yield from by_background(network, x, slices, seed)
    if twins is not None:
        yield from by_twins(network, twins)
    yield from by_cause(network, x, heat, tumor, brain, who)
    yield from by_explainers(network, x, heat, tumor, brain, who, name, others)
    yield from by_sanity(network, x, who, name, seed)
    yield from by_shaking(network, x, who, name, seed)


def middle_slices(slices: SliceSet, most: int = 100) -> SliceSet:
    """The middle slice with a tumor of each patient, of so many patients at most.

    Patients are taken evenly from the order of the set: more of them tell more than
    more slices of the same.
    """
    shown = _with_tumor(slices)
    rows = pd.Series(np.flatnonzero(shown), index=slices.patient[shown])
    each = rows.groupby(level=0, sort=False).agg(lambda r: r.iloc[len(r) // 2])
    kept = np.linspace(0, len(each) - 1, min(most, len(each))).astype(int)
    return slices.subset(np.sort(each.to_numpy()[kept]))


def _with_tumor(slices: SliceSet) -> np.ndarray:
    tumor = np.asarray(slices.tumor)
    return np.count_nonzero(tumor, axis=tuple(range(1, tumor.ndim))) > 0


def _must_fit(model: TrainedModel, slices: SliceSet) -> None:
    channels, shape = model.spec.channels, model.spec.shape
    if channels and tuple(channels) != tuple(slices.sequences):
        raise ValueError(
            f"slices: their sequences are {', '.join(slices.sequences)}, those of "
            f"{model.name} {', '.join(channels)}: extract the slices with these"
        )
    if shape and tuple(shape) != slices.images.shape[2:]:
        raise ValueError(
            f"slices: they are {slices.images.shape[2:]}, and {model.name} sees "
            f"{tuple(shape)}: extract the slices with that size"
        )
