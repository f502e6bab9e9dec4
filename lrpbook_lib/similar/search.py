"""Nearest neighbors among standardized columns, never from one's own patient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

Distance = Literal["cosine", "euclidean", "manhattan"]


@dataclass(frozen=True)
class Search:
    """How neighbors are searched.

    Attributes
    ----------
    layers
        Names that ``Explainer.layers`` lists.
    k
        Neighbors at each layer.
    distance : {"cosine", "euclidean", "manhattan"}
        Between standardized columns.
    width
        Columns at most; wider layers are reduced to means over a grid.
    composite
        LRP rules for the pictures.
    seed
        Of the patients set aside for calibration.
    """

    layers: tuple[str, ...]
    k: int = 5
    distance: Distance = "cosine"
    width: int = 256
    composite: str = "epsilon-plus"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("k", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if not self.layers:
            raise ValueError("layers is empty: name one hidden layer or more.")
        if self.distance not in (known := get_args(Distance)):
            raise ValueError(f"distance is {self.distance!r}; it takes one of {known}.")


@dataclass
class LayerIndex:
    """The atlas at one layer.

    Search is exact: every distance is computed.

    Attributes
    ----------
    columns : ndarray of shape (N, D)
        Standardized: mean zero and variance one over the atlas; for the cosine also
        scaled to length one.
    mean, scale : ndarray of shape (D,)
        What was subtracted, and divided by. A column that never changes stays zero.
    distance : {"cosine", "euclidean", "manhattan"}
    """

    columns: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    distance: Distance
    _search: Any = field(default=None, repr=False)

    @classmethod
    def fit(cls, columns: np.ndarray, distance: Distance, layer: str) -> LayerIndex:
        """Standardize the atlas.

        Parameters
        ----------
        columns : ndarray of shape (N, D)
        layer : str
            For messages.
        """
        mean = columns.mean(0, dtype=np.float64)
        spread = columns.std(0, dtype=np.float64)
        # Rounding alone spreads a constant column a little.
        alive = spread > 1e-6 * np.maximum(np.abs(mean), np.abs(columns).max())
        if not alive.any():
            raise ValueError(
                f"Activations of layer {layer!r} are the same for every slice of the "
                "atlas: nothing is nearer than anything else. The layer is dead, or "
                "the images are all alike; choose another layer."
            )
        scale = np.where(alive, spread, np.inf)
        index = cls(np.empty(0), mean.astype("f4"), scale.astype("f4"), distance)
        index.columns = index.standardized(columns)
        return index

    def standardized(self, columns: np.ndarray) -> np.ndarray:
        """Columns ``(Q, D)`` on the scale of the atlas."""
        scaled = (columns - self.mean) / self.scale
        if self.distance == "cosine":
            length = np.linalg.norm(scaled, axis=1, keepdims=True)
            scaled = scaled / np.maximum(length, 1e-12)
        return np.ascontiguousarray(scaled, dtype=np.float32)

    def nearest(
        self,
        columns: np.ndarray,
        k: int,
        atlas_patient: np.ndarray,
        patient: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of other patients.

        Parameters
        ----------
        columns : ndarray of shape (Q, D)
            As read from the layer.
        k : int
        atlas_patient : ndarray of shape (N,)
        patient : ndarray of shape (Q,)
            Whose slice each query is.

        Returns
        -------
        rows : ndarray of shape (Q, k)
            Nearest first.
        distances : ndarray of shape (Q, k)
        """
        if self._search is None:
            from sklearn.neighbors import NearestNeighbors

            # Between vectors of length one, Euclidean and cosine order alike.
            metric = "manhattan" if self.distance == "manhattan" else "euclidean"
            search = NearestNeighbors(metric=metric, algorithm="brute")
            self._search = search.fit(self.columns)
        names, counts = np.unique(atlas_patient, return_counts=True)
        own = dict(zip(names.tolist(), counts.tolist(), strict=True))
        # As many more as the query's own patient could take up.
        spare = max(own.get(name, 0) for name in patient.tolist())
        tried = min(k + spare, len(self.columns))
        distances, rows = self._search.kneighbors(self.standardized(columns), tried)
        if self.distance == "cosine":
            distances = distances**2 / 2  # 1 - cosine
        foreign = atlas_patient[rows] != patient[:, None]
        if (short := foreign.sum(1)).min() < k:
            which = int(short.argmin())
            raise ValueError(
                f"k={k} neighbors are wanted, but the atlas has {short[which]} slices "
                f"of other patients than {str(patient[which])!r}: use a larger atlas, "
                "or a smaller k."
            )
        # A stable sort moves the foreign ones to the front and keeps their order.
        first = np.argsort(~foreign, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(rows, first, 1),
            np.take_along_axis(distances, first, 1),
        )
