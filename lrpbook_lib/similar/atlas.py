"""Cases of an atlas that a network takes for like a new one, layer by layer."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lrpbook_lib.data import patient_split
from lrpbook_lib.files import whole_or_absent
from lrpbook_lib.lrp import Explainer

from .conformal import Found, nonconformity, p_values
from .features import images_of, order_kept, pooled, read_layers, units
from .search import LayerIndex, Search

#: What is kept of each atlas slice, beside its columns.
_TABLE = ("row", "patient", "site", "case", "z", "label")
#: What is kept of the index of each layer.
_PARTS = ("columns", "mean", "scale")


class ModelChangedError(ValueError):
    """A model that is not the one the neighbors were fitted with."""


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
        #: One that starts at each layer.
        self.explainers = {
            layer: Explainer(model, self.search.composite, at=layer) for layer in layers
        }
        self.indices: dict[str, LayerIndex] = {}

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
        read = read_layers(self.explainers, atlas, self.search.width, rows)
        self.indices = {
            layer: LayerIndex.fit(found, self.search.distance, layer)
            for layer, found in read.items()
        }
        own = np.asarray(calibration.labels)
        found, _ = self._nearest(calibration, np.asarray(calibration.patient))
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
        rows, distances = self._nearest(images, np.asarray(patient, dtype=str))
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
        for layer, explainer in self.explainers.items():
            full = units(explainer, x).cpu()
            reduced = pooled(full, self.search.width)
            both = full.flatten(1).numpy(), reduced.numpy()
            kept = order_kept(*both, self.search.k)
            table[layer] = (*(each.shape[1] for each in both), *kept)
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
            for part in _PARTS:
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
        for layer in cases.explainers:
            parts = {part: arrays[f"{layer}/{part}"] for part in _PARTS}
            distance = cases.search.distance
            cases.indices[layer] = LayerIndex(**parts, distance=distance)
        cases._check_fitted()
        return cases

    def _nearest(
        self, images: Any, patient: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Rows of the fitted table, and distances, for each layer ``(Q, k)``."""
        columns = read_layers(self.explainers, images, self.search.width)
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


def fingerprint(model: nn.Module) -> str:
    """Sixteen hexadecimal digits that name layers, weights and buffers.

    The same on every device; training mode and gradients make no difference.
    """
    known = hashlib.blake2b(repr(model).encode(), digest_size=8)
    for name, tensor in model.state_dict().items():
        known.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content = tensor.detach().cpu().contiguous().flatten()
        known.update(content.view(torch.uint8).numpy().data)
    return known.hexdigest()
