"""What neighbors have in common: with their query, and with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .cases import Found

_COLUMN = {"grade": "label", "site": "site", "patient": "patient"}


def agreement(
    found: Found, queries: Any, what: str, within: str | None = None
) -> pd.DataFrame:
    """How often neighbors share something with their query.

    Parameters
    ----------
    found : Found
    queries : SliceSet
        What was queried.
    what : {"grade", "site"}
    within : {"grade", "site"}, optional
        Count only neighbors, and atlas slices, that share *this* with the query. Where
        a site has one grade only, sharing the site is sharing the grade; agreement in
        site within the grade tells the two apart.

    Returns
    -------
    DataFrame
        A row a query and layer, with ``patient`` and ``site`` of the query: ``share``
        of the neighbors that agree, ``chance`` (share of the atlas slices of other
        patients that do) and ``lift``, the first minus the second. Rows where no
        neighbor or no atlas slice counts are left out.
    """
    own, theirs = _columns(found, queries, what)
    narrow = _columns(found, queries, within) if within else None
    foreign = found.atlas["patient"].to_numpy() != np.asarray(queries.patient)[:, None]
    agree = theirs == own[:, None]
    if narrow:
        foreign &= narrow[1] == narrow[0][:, None]
    chance = _mean(agree, foreign)
    parts = []
    for layer in found.neighbors:
        same = found.of(_COLUMN[what], layer) == own[:, None]
        count = np.ones_like(same)
        if narrow and within:
            count = found.of(_COLUMN[within], layer) == narrow[0][:, None]
        parts.append(_frame(queries, layer, _mean(same, count), chance))
    return pd.concat(parts, ignore_index=True).dropna(ignore_index=True)


def homogeneity(found: Found, queries: Any, what: str) -> pd.DataFrame:
    """How often two neighbors of a query share something with each other.

    It needs nothing of the query: sites that the atlas does not know can be queried.

    Parameters
    ----------
    found : Found
    queries : SliceSet
    what : {"grade", "site", "patient"}
        High for "patient": the five neighbors are few witnesses.

    Returns
    -------
    DataFrame
        As of :func:`agreement`; ``chance`` is for two atlas slices of other patients,
        drawn at random.
    """
    if min(rows.shape[1] for rows in found.neighbors.values()) < 2:
        raise ValueError("Homogeneity needs two neighbors or more: use a larger k.")
    _, theirs = _columns(found, queries, what, own=False)
    foreign = found.atlas["patient"].to_numpy() != np.asarray(queries.patient)[:, None]
    _, code = np.unique(theirs, return_inverse=True)
    counts = foreign.astype(float) @ np.eye(code.max() + 1)[code]
    chance = _pairs(counts)
    parts = []
    for layer, rows in found.neighbors.items():
        near = found.of(_COLUMN[what], layer)
        k = rows.shape[1]
        same = (near[:, :, None] == near[:, None, :]).sum((1, 2)) - k
        parts.append(_frame(queries, layer, same / (k * (k - 1)), chance))
    return pd.concat(parts, ignore_index=True)


def _columns(
    found: Found, queries: Any, what: str, own: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """A column of the queries, and the same of the atlas."""
    allowed = ("grade", "site") if own else tuple(_COLUMN)
    if what not in allowed:
        raise ValueError(f"{what!r} is unknown here; it takes one of {allowed}.")
    mine = np.asarray(queries.labels if what == "grade" else getattr(queries, what))
    if len(mine) != len(found.p_values):
        raise ValueError(f"{len(found.p_values)} slices were queried, not {len(mine)}.")
    theirs = found.atlas[_COLUMN[what]].to_numpy()
    if what == "site" and (theirs == "").any():
        raise ValueError("The atlas does not know the site of every slice.")
    return mine, theirs


def _mean(hit: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean along rows over what counts; NaN where nothing does."""
    number = count.sum(1)
    total = (hit & count.astype(bool)).sum(1)
    return np.divide(total, number, out=np.full(len(hit), np.nan), where=number > 0)


def _pairs(counts: np.ndarray) -> np.ndarray:
    """Probability that two different draws are of one kind, from counts by kind."""
    total = counts.sum(1)
    return (counts * (counts - 1)).sum(1) / np.maximum(total * (total - 1), 1)


def _frame(
    queries: Any, layer: str, share: np.ndarray, chance: np.ndarray
) -> pd.DataFrame:
    columns = {
        "query": np.arange(len(share)),
        "layer": layer,
        "patient": np.asarray(queries.patient),
        "site": np.asarray(queries.site),
        "share": share,
        "chance": chance,
    }
    return pd.DataFrame(columns).assign(lift=share - chance)
