"""Splits that never share a patient."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

if TYPE_CHECKING:
    from lrpbook_lib.data.samples import SliceSet

Split = tuple[np.ndarray, np.ndarray]


def check_disjoint(slices: "SliceSet", *parts: Iterable[int]) -> None:
    """Raise where two parts of a split hold slices of one patient.

    Parameters
    ----------
    parts
        Positions of each part.
    """
    groups = [set(slices.patient[np.asarray(list(p), dtype=int)]) for p in parts]
    for i, one in enumerate(groups):
        for j, other in enumerate(groups[:i]):
            if shared := sorted(one & other):
                raise ValueError(
                    f"parts {j} and {i} of the split share {len(shared)} patients "
                    f"({', '.join(shared[:3])}): results would measure memory; split "
                    "with patient_folds or site_holdout, and leave out duplicates"
                )


def _known(slices: "SliceSet") -> None:
    if unknown := int((slices.labels < 0).sum()):
        raise ValueError(
            f"{unknown} slices have no grade or other label (-1): leave them out "
            "first, slices.subset(slices.labels >= 0), or hand the release's table to "
            "find_cases(tables=...)"
        )


def patient_folds(slices: "SliceSet", folds: int = 5, seed: int = 0) -> list[Split]:
    """Cross-validation folds: grouped by patient, stratified by label.

    Returns
    -------
    list of (train, test)
        Positions, ascending; every slice is in one test part.
    """
    _known(slices)
    for label in np.unique(slices.labels):
        patients = len(set(slices.patient[slices.labels == label]))
        if patients < folds:
            raise ValueError(
                f"label {label} has {patients} patients, fewer than folds={folds}: "
                f"ask for at most {patients} folds"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    blank = np.zeros((len(slices.labels), 1))
    splits = list(splitter.split(blank, slices.labels, groups=slices.patient))
    for train, test in splits:
        check_disjoint(slices, train, test)
    return splits


def patient_split(
    slices: "SliceSet", shares: tuple[float, ...] = (0.7, 0.1, 0.2), seed: int = 0
) -> list[np.ndarray]:
    """Parts of the given shares of the patients, each label divided alike.

    A patient goes by its first label. Each part gets at least one patient of every
    label that has enough patients for that.

    Returns
    -------
    list of ndarray
        Positions, ascending, a part each.
    """
    _known(slices)
    if abs(sum(shares) - 1) > 1e-6 or min(shares) <= 0:
        raise ValueError(f"shares={shares} must be positive and sum to 1")
    rng = np.random.default_rng(seed)
    names, first = np.unique(slices.patient, return_index=True)
    label = slices.labels[first]
    part = np.empty(len(names), dtype=int)
    for value in np.unique(label):
        mine = rng.permutation(np.flatnonzero(label == value))
        ends = np.round(np.cumsum(shares) * len(mine)).astype(int)
        if len(mine) >= len(shares):
            for i in range(len(shares)):  # no empty part, from either side
                ends[i] = min(max(ends[i], i + 1), len(mine) - len(shares) + i + 1)
        for i, chunk in enumerate(np.split(mine, ends[:-1])):
            part[chunk] = i
    of_slice = part[np.searchsorted(names, slices.patient)]
    parts = [np.flatnonzero(of_slice == i) for i in range(len(shares))]
    check_disjoint(slices, *parts)
    return parts


def mixed_sites(slices: "SliceSet") -> list[str]:
    """Sites with patients of more than one label, sorted."""
    sites = np.unique(slices.site[slices.site != ""])
    return [
        str(s) for s in sites if len(np.unique(slices.labels[slices.site == s])) > 1
    ]


def site_holdout(slices: "SliceSet", sites: Iterable[str] | None = None) -> Split:
    """Hold whole sites out for the test.

    Parameters
    ----------
    sites
        Names of the test sites; default those with more than one label, where the
        site gives no answer away.

    Returns
    -------
    train, test
        Positions, ascending.
    """
    _known(slices)
    sites = mixed_sites(slices) if sites is None else sites
    held = [sites] if isinstance(sites, str) else list(sites)
    have = sorted(set(slices.site.tolist()) - {""})
    if unknown := [s for s in held if s not in have]:
        raise ValueError(f"sites {unknown} are not in the set, which has {have}")
    if not held:
        raise ValueError(f"no site of {have} has several labels: name the test sites")
    inside = np.isin(slices.site, held)
    train, test = np.flatnonzero(~inside), np.flatnonzero(inside)
    if not len(train):
        raise ValueError(f"all slices come from {held}: nothing is left to train on")
    check_disjoint(slices, train, test)
    return train, test
