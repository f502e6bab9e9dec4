r"""Deep k-nearest neighbors: how far the neighbors of a case support an answer.

For a case x and a candidate class j, the *nonconformity* counts, over all layers, the
neighbors that are of another class,

.. math:: \alpha(x, j) = \sum_\lambda |\{ i \in \Omega_\lambda(x) : y_i \ne j \}|.

A calibration set that neither the network nor the atlas has seen tells how large that
is for the true class; the p-value of an answer is its place among those values. After
Papernot & McDaniel 2018 (``papernot2018``), with two departures that make it a valid
conformal p-value: the case itself counts, so that it is never zero, and calibration
cases whose neighbors all agree (a nonconformity of zero) count as any other, which
their published code trims away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


def nonconformity(labels: np.ndarray, classes: int) -> np.ndarray:
    """Neighbors of another class, for every candidate class.

    Parameters
    ----------
    labels : ndarray of shape (Q, n)
        Classes of the neighbors, all layers side by side.
    classes : int

    Returns
    -------
    ndarray of shape (Q, classes), int
    """
    return (labels[:, :, None] != np.arange(classes)).sum(1)


def p_values(alpha: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    r"""Share of the calibration that conforms no better, the case itself included.

    .. math:: p_j = \frac{1 + |\{ c : \alpha_c \ge \alpha(x, j) \}|}{1 + n}

    Where calibration and queries are exchangeable, the true class has
    :math:`P(p \le \epsilon) \le \epsilon`. Slices of one patient resemble each other:
    the bound then holds on average over patients, and not given a patient.

    Parameters
    ----------
    alpha : ndarray
    calibration : ndarray of shape (n,)
        Nonconformity of the true class of each calibration case.
    """
    ordered = np.sort(calibration)
    at_least = len(ordered) - np.searchsorted(ordered, alpha, side="left")
    return (1 + at_least) / (1 + len(ordered))


@dataclass(frozen=True)
class Support:
    """What the neighbors say of each answer.

    Attributes
    ----------
    p_values : ndarray of shape (Q, classes)
    predicted : ndarray of shape (Q,)
        The class of the largest p-value (of equal ones the first).
    credibility : ndarray of shape (Q,)
        That p-value: low where the atlas has no such case.
    confidence : ndarray of shape (Q,)
        One minus the second largest: high where nothing else is supported.
    """

    p_values: np.ndarray

    @property
    def predicted(self) -> np.ndarray:  # noqa: D102
        return self.p_values.argmax(1)

    @property
    def credibility(self) -> np.ndarray:  # noqa: D102
        return self.p_values.max(1)

    @property
    def confidence(self) -> np.ndarray:  # noqa: D102
        return 1 - np.sort(self.p_values, axis=1)[:, -2]


@dataclass(frozen=True)
class Found(Support):
    """Neighbors of some queries, and what they support.

    Attributes
    ----------
    neighbors : dict of str to ndarray of shape (Q, k)
        By layer: positions in the atlas that was fitted, nearest first.
    distances : dict of str to ndarray of shape (Q, k)
    atlas : DataFrame
        A row an atlas slice, its position the index: ``patient``, ``site``, ``case``,
        ``z``, ``label``.
    """

    neighbors: dict[str, np.ndarray]
    distances: dict[str, np.ndarray]
    atlas: pd.DataFrame

    def of(self, column: str, layer: str) -> np.ndarray:
        """A column of the atlas for each neighbor, ``(Q, k)``."""
        return self.atlas[column].to_numpy()[self.places(layer)]

    def places(self, layer: str) -> np.ndarray:
        """Row of the table ``atlas`` for each neighbor, ``(Q, k)``."""
        rows = self.neighbors[layer]
        return self.atlas.index.get_indexer(rows.ravel()).reshape(rows.shape)

    def table(self) -> pd.DataFrame:
        """A row a neighbor: query, layer, rank, row, distance, and who it is."""
        parts = []
        for layer, rows in self.neighbors.items():
            queries, k = rows.shape
            who = self.atlas.loc[rows.ravel()].reset_index(names="row")
            who.insert(0, "query", np.repeat(np.arange(queries), k))
            who.insert(1, "layer", layer)
            who.insert(2, "rank", np.tile(np.arange(1, k + 1), queries))
            who.insert(4, "distance", self.distances[layer].ravel())
            parts.append(who)
        return pd.concat(parts, ignore_index=True)
