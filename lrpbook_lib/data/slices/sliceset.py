"""A set of slices: arrays on disk, a torch dataset, and who each slice belongs to."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from lrpbook_lib.data.slices.choosing import CLASSES
from lrpbook_lib.files import check_target, npy_stream, whole_or_absent, write_json

_ARRAYS = ("images", "tumor", "brain")
_TABLE = ("labels", "z", "patient", "site", "case")


@dataclass
class _Store:
    """Arrays of all slices, in memory or mapped from the files of `folder`."""

    arrays: dict[str, np.ndarray]
    folder: Path | None = None

    def __reduce__(self):
        # A worker opens the files anew: only their folder travels.
        if self.folder is not None:
            return _open_store, (self.folder,)
        return _Store, (self.arrays,)


def _open_store(folder: Path) -> _Store:
    # Copy-on-write: torch wants writable arrays, and the files stay as they are.
    arrays = {n: np.load(folder / f"{n}.npy", mmap_mode="c") for n in _ARRAYS}
    return _Store(arrays, folder)


@dataclass(eq=False)
class SliceSet(Dataset):
    """Axial slices with labels, masks, and the patient and site they come from.

    An item is a dictionary of tensors: ``image`` (C, H, W) float32, ``label`` int64,
    ``tumor`` (H, W) int64, ``brain`` (H, W) bool, ``index`` int64.

    Attributes
    ----------
    store
        Where the arrays are.
    table
        Arrays of one entry a slice: labels, z, patient, site, case.
    sequences
        Names of the channels.
    classes
        Names of the labels: LGG 0, HGG 1 and, if asked for, healthy 2. Label -1
        means that the grade is unknown.
    settings
        What the slices were made with.
    problems
        Cases left out, as dictionaries.
    rows
        Positions in the store, for a subset; ``None`` for all.
    """

    store: _Store
    table: dict[str, np.ndarray]
    sequences: tuple[str, ...] = ("t1", "t2", "flair")
    classes: tuple[str, ...] = CLASSES
    settings: dict[str, Any] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    rows: np.ndarray | None = None

    @classmethod
    def from_arrays(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        tumor: np.ndarray,
        brain: np.ndarray,
        patient: Sequence[str],
        site: Sequence[str] | None = None,
        z: np.ndarray | None = None,
        *,
        sequences: Sequence[str] | None = None,
        classes: Sequence[str] = CLASSES,
    ) -> "SliceSet":
        """Build a set from arrays in memory.

        Parameters
        ----------
        images
            ``(N, C, H, W)``.
        labels, patient, site, z
            ``(N,)``; `site` and `z` may be left out.
        tumor, brain
            ``(N, H, W)``.
        sequences
            Names of the C channels; default ``c0``, ``c1``, ...
        classes
            Names of the labels.
        """
        n, channels, *shape = images.shape
        table: dict[str, np.ndarray] = {
            "labels": np.asarray(labels, dtype=np.int64),
            "z": np.zeros(n, np.int64) if z is None else np.asarray(z, np.int64),
            "patient": np.asarray(patient, dtype=str),
            "site": np.full(n, "") if site is None else np.asarray(site, dtype=str),
            "case": np.asarray(patient, dtype=str),
        }
        arrays: dict[str, np.ndarray] = {
            "images": np.asarray(images, dtype=np.float32),
            "tumor": np.asarray(tumor, dtype=np.uint8),
            "brain": np.asarray(brain, dtype=bool),
        }
        for name, array in {**arrays, **table}.items():
            want = {"images": (n, channels, *shape)}.get(name) or (
                (n, *shape) if name in _ARRAYS else (n,)
            )
            if array.shape != want:
                raise ValueError(f"{name} has shape {array.shape}, not {want}")
        names = sequences or [f"c{i}" for i in range(channels)]
        if len(names) != channels:
            raise ValueError(f"{len(names)} sequences named for {channels} channels")
        return cls(_Store(arrays), table, tuple(names), tuple(classes))

    def _array(self, name: str) -> np.ndarray:
        whole = self.store.arrays[name]
        return whole if self.rows is None else whole[self.rows]

    @cached_property
    def images(self) -> np.ndarray:
        """``(N, C, H, W)`` float32; mapped from disk, but read in for a subset."""
        return self._array("images")

    @cached_property
    def tumor(self) -> np.ndarray:
        """``(N, H, W)`` uint8: label map, 0 where there is no tumor."""
        return self._array("tumor")

    @cached_property
    def brain(self) -> np.ndarray:
        """``(N, H, W)`` bool."""
        return self._array("brain")

    @property
    def labels(self) -> np.ndarray:
        """``(N,)`` int64: index in `classes`, -1 for an unknown grade."""
        return self.table["labels"]

    @property
    def patient(self) -> np.ndarray:
        """``(N,)`` names."""
        return self.table["patient"]

    @property
    def site(self) -> np.ndarray:
        """``(N,)`` names; empty where unknown."""
        return self.table["site"]

    @property
    def z(self) -> np.ndarray:
        """``(N,)`` int64: axial position, upwards."""
        return self.table["z"]

    @property
    def case(self) -> np.ndarray:
        """``(N,)`` case ids."""
        return self.table["case"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"slice {index} of {len(self)}")
        item = self.batch([int(index) % len(self)])
        return {name: stacked[0] for name, stacked in item.items()}

    def batch(self, positions: Sequence[int]) -> dict[str, torch.Tensor]:
        """The items at these positions, stacked: read at once."""
        index = np.asarray(positions, dtype=np.int64)
        rows = index if self.rows is None else self.rows[index]
        arrays = {name: array[rows] for name, array in self.store.arrays.items()}
        return {
            "image": torch.from_numpy(arrays["images"].astype("f4", copy=False)),
            "label": torch.from_numpy(self.labels[index]),
            "tumor": torch.from_numpy(arrays["tumor"].astype("i8")),
            "brain": torch.from_numpy(arrays["brain"]),
            "index": torch.from_numpy(index),
        }

    def __getstate__(self) -> dict[str, Any]:
        cached = ("images", "tumor", "brain")
        return {k: v for k, v in self.__dict__.items() if k not in cached}

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{(self.labels == i).sum()} {name}" for i, name in enumerate(self.classes)
        )
        return (
            f"SliceSet({len(self)} slices of {len(set(self.patient))} patients: "
            f"{counts}; {', '.join(self.sequences)})"
        )

    def subset(self, idx: Sequence[int] | np.ndarray) -> "SliceSet":
        """The slices at these positions, or where a mask is true; nothing is copied."""
        idx = np.asarray(idx)
        if idx.dtype == bool:
            if len(idx) != len(self):
                raise IndexError(f"a mask of {len(idx)} for {len(self)} slices")
            idx = np.flatnonzero(idx)
        idx = idx.astype(np.int64)
        if len(idx) and not (-len(self) <= idx.min() and idx.max() < len(self)):
            raise IndexError(f"positions beyond the {len(self)} slices")
        idx = idx % max(len(self), 1)
        return SliceSet(
            self.store,
            {name: column[idx] for name, column in self.table.items()},
            self.sequences,
            self.classes,
            self.settings,
            self.problems,
            idx if self.rows is None else self.rows[idx],
        )

    def frame(self) -> pd.DataFrame:
        """A row a slice: case, patient, site, class, z and tumor area in pixels."""
        names = np.array([*self.classes, "unknown"])
        table = pd.DataFrame({k: self.table[k] for k in ("case", "patient", "site")})
        table["class"] = names[self.labels]
        table["z"] = self.z
        table["tumor_pixels"] = np.count_nonzero(self.tumor, axis=(1, 2))
        return table

    def report(self) -> pd.DataFrame:
        """Cases that were left out on the way, and why."""
        columns = ["case", "release", "kind", "detail", "dropped"]
        return pd.DataFrame(self.problems, columns=columns)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the set to a folder; an existing slice set there is replaced."""
        path = check_target(path)
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        with whole_or_absent(path, replace=True) as beside:
            beside.mkdir()
            for name in _ARRAYS:
                whole = self.store.arrays[name]
                rows = np.arange(len(whole)) if self.rows is None else self.rows
                shape = (len(self), *whole.shape[1:])
                with npy_stream(beside / f"{name}.npy", whole.dtype, shape) as append:
                    for start in range(0, len(rows), 64):  # bounded memory
                        append(whole[rows[start : start + 64]])
            columns: dict[str, Any] = {k: self.table[k] for k in _TABLE}
            np.savez(beside / "table.npz", **columns)
            meta = asdict(_Meta.of(self))
            write_json(beside / "slices.json", meta)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "SliceSet":
        """Open a saved set; the arrays stay on disk."""
        path = Path(path).expanduser().resolve()
        if not (path / "slices.json").is_file():
            raise FileNotFoundError(
                f"{path} holds no slices.json: it is no slice set; make one with "
                "extract_slices or SliceSet.save"
            )
        meta = json.loads((path / "slices.json").read_text("utf-8"))
        with np.load(path / "table.npz") as table:
            columns = {name: table[name] for name in _TABLE}
        return cls(
            _open_store(path),
            columns,
            tuple(meta["sequences"]),
            tuple(meta["classes"]),
            meta["settings"],
            meta["problems"],
        )


@dataclass(frozen=True)
class _Meta:
    sequences: list[str]
    classes: list[str]
    settings: dict[str, Any]
    problems: list[dict[str, Any]]

    @classmethod
    def of(cls, slices: SliceSet) -> "_Meta":
        return cls(
            list(slices.sequences),
            list(slices.classes),
            slices.settings,
            slices.problems,
        )
