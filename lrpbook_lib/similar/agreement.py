"""What neighbors have in common: with their query, and with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .conformal import Found

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
    mine, other = _columns(found, queries, within)
    foreign = found.atlas["patient"].to_numpy() != np.asarray(queries.patient)[:, None]
    chance = _mean(theirs == own[:, None], foreign & (other == mine[:, None]))
    parts = []
    for layer in found.neighbors:
        at = found.places(layer)
        share = _mean(theirs[at] == own[:, None], other[at] == mine[:, None])
        parts.append(_frame(queries, layer, share, chance))
    return pd.concat(parts, ignore_index=True).dropna(ignore_index=True)


def homogeneity(
    found: Found, queries: Any, what: str, within: str | None = None
) -> pd.DataFrame:
    """How often two neighbors of a query share something with each other.

    It needs nothing of the query: slices of a site that the atlas does not know have
    an answer, too. Neighbors of one patient share everything; for grade and site, only
    pairs of different patients count.

    Parameters
    ----------
    found : Found
    queries : SliceSet
    what : {"grade", "site", "patient"}
        High for "patient": the neighbors are few witnesses.
    within : {"grade", "site"}, optional
        Count only pairs that share *this*.

    Returns
    -------
    DataFrame
        As of :func:`agreement`; ``chance`` is for pairs of atlas slices that would
        count, drawn at random. Rows where no pair counts are left out.
    """
    if min(rows.shape[1] for rows in found.neighbors.values()) < 2:
        raise ValueError("Homogeneity needs two neighbors or more: use a larger k.")
    atlas = found.atlas
    # What two draws must not share: the patient; or else, themselves.
    name = atlas.index if what == "patient" else atlas["patient"]
    kind, group, unit = (
        np.unique(column, return_inverse=True)[1]
        for column in (
            _columns(found, queries, what, own=False)[1],
            _columns(found, queries, within, own=False)[1],
            name.to_numpy(),
        )
    )
    owners = np.asarray(queries.patient).tolist()
    chances = {
        owner: _pair_chance(kind, group, unit, atlas["patient"].to_numpy() != owner)
        for owner in set(owners)
    }
    by_owner = np.stack([chances[owner] for owner in owners])  # (Q, groups)
    parts = []
    for layer, rows in found.neighbors.items():
        places = found.places(layer)
        one, two = (places[:, i] for i in np.triu_indices(rows.shape[1], 1))
        counts = (unit[one] != unit[two]) & (group[one] == group[two])
        share = _mean(kind[one] == kind[two], counts)
        by_pair = np.take_along_axis(by_owner, group[one], 1)
        chance = np.where(counts, by_pair, 0).sum(1) / np.maximum(counts.sum(1), 1)
        parts.append(_frame(queries, layer, share, chance))
    return pd.concat(parts, ignore_index=True).dropna(ignore_index=True)


def _columns(
    found: Found, queries: Any, what: str | None, own: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """A column of the queries, and the same of the atlas; of None, all share it."""
    if what is None:
        return np.zeros(len(found.p_values)), np.zeros(len(found.atlas))
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
    total = (hit & count).sum(1)
    return np.divide(total, number, out=np.full(len(hit), np.nan), where=number > 0)


def _pair_chance(
    kind: np.ndarray, group: np.ndarray, unit: np.ndarray, foreign: np.ndarray
) -> np.ndarray:
    """Probability, in each group, that two draws of different units are of one kind."""
    chance = np.full(group.max() + 1, np.nan)
    for g in range(len(chance)):
        drawn = foreign & (group == g)
        k, u = kind[drawn], unit[drawn]
        squares = [
            float((np.unique(each, return_counts=True, axis=0)[1] ** 2).sum())
            for each in (k, u, np.stack([k, u], 1))
        ]
        pairs = drawn.sum() ** 2 - squares[1]
        if pairs > 0:
            chance[g] = (squares[0] - squares[2]) / pairs
    return chance


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
