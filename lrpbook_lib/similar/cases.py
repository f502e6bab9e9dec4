"""Cases of an atlas that a network takes for like a new one, layer by layer."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from lrpbook_lib.data import patient_split
from lrpbook_lib.files import whole_or_absent
from lrpbook_lib.lrp import Explainer

from .conformal import Support, nonconformity, p_values
from .features import LayerReader, Wide, images_of, order_kept, read_layers
from .fingerprint import ModelChangedError, fingerprint
from .search import Distance, LayerIndex, check_distance

#: What is kept of each atlas slice, beside its columns.
_TABLE = ("row", "patient", "site", "case", "z", "label")


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
        Columns at most; wider layers are reduced.
    wide : {"pool", "sketch"}
        Reduced how: means over a grid, or a random projection.
    composite
        LRP rules for the pictures.
    seed
        Of the sketch, and of the patients set aside for calibration.
    """

    layers: tuple[str, ...]
    k: int = 5
    distance: Distance = "cosine"
    width: int = 256
    wide: Wide = "pool"
    composite: str = "epsilon-plus"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("k", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if not self.layers:
            raise ValueError("layers is empty: name one hidden layer or more.")
        check_distance(self.distance)


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
        places = self.atlas.index.get_indexer(self.neighbors[layer].ravel())
        return (
            self.atlas[column].to_numpy()[places].reshape(self.neighbors[layer].shape)
        )

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


class SimilarCases:
    """Nearest neighbors on the hidden layers of a network.

    Parameters
    ----------
    model : nn.Module
        Anything an ``Explainer`` takes; left as it is.
    layers : sequence of str
    **settings
        The rest of :class:`Search`.

    Examples
    --------
    >>> cases = SimilarCases(model, ["features.12", "classifier.2"]).fit(atlas)
    >>> found = cases.query(slices)
    >>> atlas.images[found.neighbors["classifier.2"][0]]  # five slices like the first
    >>> found.credibility, found.confidence

    Notes
    -----
    Neighbors never come from the query's own patient: slices of one brain resemble each
    other whatever the network has learned.
    """

    def __init__(
        self, model: nn.Module, layers: Sequence[str] | str, **settings: Any
    ) -> None:
        layers = (layers,) if isinstance(layers, str) else tuple(layers)
        self.model, self.search = model, Search(layers, **settings)
        s = self.search
        self.readers = {
            layer: LayerReader(model, layer, s.width, s.wide, s.composite, s.seed)
            for layer in layers
        }
        self.indices: dict[str, LayerIndex] = {}

    @property
    def explainers(self) -> dict[str, Explainer]:
        """An explainer that starts at each layer."""
        return {layer: reader.explainer for layer, reader in self.readers.items()}

    def fit(self, atlas: Any, calibration: Any | None = None) -> SimilarCases:
        """Read the atlas, and calibrate on patients that are not in it.

        Parameters
        ----------
        atlas : SliceSet
        calibration : SliceSet, optional
            Slices of other patients, which the network was best not trained on either.
            Without it, a fifth of the atlas patients are set aside.
        """
        labels = _known_labels(atlas, "atlas")
        if len(np.unique(labels)) < 2:
            raise ValueError(
                f"All {len(labels)} slices of the atlas have label {labels[0]}: with "
                "one class only, neighbors cannot disagree. Add patients of another."
            )
        rows = np.arange(len(atlas))
        if calibration is None:
            rows, aside = patient_split(atlas, (0.8, 0.2), self.search.seed)
            calibration = atlas.subset(aside)
        else:
            _known_labels(calibration, "calibration set")
            shared = sorted(set(atlas.patient) & set(calibration.patient))
            if shared:
                raise ValueError(
                    f"Atlas and calibration set share {len(shared)} patients "
                    f"({', '.join(shared[:3])}): split them with patient_split."
                )
        if len(rows) < self.search.k:
            raise ValueError(
                f"k={self.search.k} neighbors are wanted of an atlas of {len(rows)} "
                "slices: use a larger atlas, or a smaller k."
            )
        columns = {name: np.asarray(getattr(atlas, name)) for name in _TABLE[1:5]}
        self.atlas = pd.DataFrame(columns).assign(label=labels).iloc[rows]
        self.classes = tuple(atlas.classes)
        self.image_shape = tuple(atlas[0]["image"].shape)
        self.model_hash = fingerprint(self.model)
        read = read_layers(self.readers, atlas, rows)
        self.indices = {
            layer: LayerIndex.fit(found, self.search.distance, layer)
            for layer, found in read.items()
        }
        own = np.asarray(calibration.labels)
        patient = np.asarray(calibration.patient)
        found, _ = self._nearest(read_layers(self.readers, calibration), patient)
        alpha = nonconformity(self._labels(found), len(self.classes))
        self.calibration = np.sort(alpha[np.arange(len(own)), own])
        return self

    def query(self, x: Any, patient: Sequence[str] | None = None) -> Found:
        """Neighbors of slices, and how well these support each class.

        Parameters
        ----------
        x : SliceSet, or Tensor of shape ``(Q, C, *space)``
        patient : sequence of str, optional
            Whose slices they are; a SliceSet knows.
        """
        self._check_fitted()
        if isinstance(x, Tensor):
            images: Any = [{"image": image} for image in x]
            patient = [""] * len(x) if patient is None else patient
        else:
            images, patient = x, x.patient if patient is None else patient
        if not len(images):
            raise ValueError("There are no slices to find neighbors of.")
        shape = tuple(images[0]["image"].shape)
        if shape != self.image_shape:
            raise ValueError(
                f"The query has images of shape {shape}, the atlas of "
                f"{self.image_shape}: extract both with the same size and sequences."
            )
        columns = read_layers(self.readers, images)
        rows, distances = self._nearest(columns, np.asarray(patient, dtype=str))
        alpha = nonconformity(self._labels(rows), len(self.classes))
        p = p_values(alpha, self.calibration)
        positions = self.atlas.index.to_numpy()
        neighbors = {layer: positions[found] for layer, found in rows.items()}
        return Found(p, neighbors, distances, self.atlas)

    def reduction(self, slices: Any, sample: int = 200) -> pd.DataFrame:
        """What reducing wide layers costs: a row a layer.

        Parameters
        ----------
        slices : SliceSet
            Some of these slices, ``sample`` at most, are ordered by the distance of all
            units and by that of the reduced columns.

        Returns
        -------
        DataFrame
            ``units``, ``columns``, ``neighbors_kept`` (share of the k nearest that stay
            among them) and ``rank_correlation`` of distances.
        """
        if len(slices) <= self.search.k + 1:
            raise ValueError(f"{len(slices)} slices are too few for k={self.search.k}.")
        rng = np.random.default_rng(self.search.seed)
        rows = rng.choice(len(slices), min(sample, len(slices)), replace=False)
        x = images_of(slices, np.sort(rows))
        table = {}
        for layer, reader in self.readers.items():
            units = reader.units(x)
            full = units.flatten(1).cpu().numpy()
            reduced = reader.reduce(units).cpu().numpy()
            kept, ranks = order_kept(full, reduced, self.search.k)
            table[layer] = (full.shape[1], reduced.shape[1], kept, ranks)
        columns = ["units", "columns", "neighbors_kept", "rank_correlation"]
        frame = pd.DataFrame.from_dict(table, orient="index", columns=columns)
        return frame.rename_axis("layer")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write columns, labels and settings to one ``.npz`` file; not the images."""
        self._check_fitted()
        about = {
            "search": asdict(self.search),
            "model": self.model_hash,
            "classes": self.classes,
            "image_shape": self.image_shape,
        }
        arrays: dict[str, Any] = {
            "about": np.array(json.dumps(about)),
            "calibration": self.calibration,
            "atlas.row": self.atlas.index.to_numpy(),
        }
        for name in _TABLE[1:]:
            column = self.atlas[name].to_numpy()
            text = column.dtype.kind not in "iu"
            arrays[f"atlas.{name}"] = column.astype(str) if text else column
        for layer, index in self.indices.items():
            for part in ("columns", "mean", "scale"):
                arrays[f"{layer}/{part}"] = getattr(index, part)
        path = Path(path).expanduser()
        with whole_or_absent(path) as beside, beside.open("wb") as stream:
            np.savez(stream, **arrays)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: nn.Module) -> SimilarCases:
        """Read what was saved; the model must be the one it was fitted with."""
        path = Path(path).expanduser()
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            about = json.loads(str(arrays["about"]))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise ValueError(
                f"{path} holds no atlas that SimilarCases.save wrote ({error})."
            ) from error
        settings = about["search"]
        cases = cls(model, settings.pop("layers"), **settings)
        cases.model_hash, cases.calibration = about["model"], arrays["calibration"]
        cases.classes = tuple(about["classes"])
        cases.image_shape = tuple(about["image_shape"])
        table = {name: arrays[f"atlas.{name}"] for name in _TABLE[1:]}
        cases.atlas = pd.DataFrame(table, index=arrays["atlas.row"])
        for layer in cases.readers:
            columns, mean, scale = (
                arrays[f"{layer}/{part}"] for part in ("columns", "mean", "scale")
            )
            index = LayerIndex(columns, mean, scale, cases.search.distance)
            cases.indices[layer] = index
        cases._check_fitted()
        return cases

    def _nearest(
        self, columns: dict[str, np.ndarray], patient: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        atlas_patient = self.atlas["patient"].to_numpy(dtype=str)
        rows, distances = {}, {}
        for layer, index in self.indices.items():
            rows[layer], distances[layer] = index.nearest(
                columns[layer], self.search.k, atlas_patient, patient
            )
        return rows, distances

    def _labels(self, rows: dict[str, np.ndarray]) -> np.ndarray:
        """Classes of all neighbors of all layers, ``(Q, layers * k)``."""
        labels = self.atlas["label"].to_numpy()
        return np.concatenate([labels[found] for found in rows.values()], axis=1)

    def _check_fitted(self) -> None:
        if not self.indices:
            raise ValueError("There is no atlas yet: call fit first.")
        if (now := fingerprint(self.model)) != self.model_hash:
            raise ModelChangedError(
                f"The model (now {now}) is not the one the atlas was fitted with "
                f"({self.model_hash}): its weights or layers have changed, and old "
                "activations say nothing of the new ones. Fit again."
            )


def _known_labels(slices: Any, what: str) -> np.ndarray:
    labels = np.asarray(slices.labels)
    if not len(labels):
        raise ValueError(f"The {what} is empty.")
    if (labels < 0).any():
        raise ValueError(
            f"{int((labels < 0).sum())} slices of the {what} have no grade (label -1): "
            "leave them out, slices.subset(slices.labels >= 0)."
        )
    return labels
