"""Sets of samples: arrays on disk, a torch dataset, and who each sample belongs to."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset

from lrpbook_lib.data.cases.case import Problem
from lrpbook_lib.data.cases.readers import CLASSES
from lrpbook_lib.files import npy_stream, whole_or_absent, write_json

_KINDS: dict[str, Any] = {"images": np.float32, "tumor": np.uint8, "brain": np.bool_}


@dataclass
class _Store:
    """Arrays of all samples, in memory or mapped from the files of `folder`."""

    arrays: dict[str, np.ndarray]
    folder: Path | None = None

    def __reduce__(self):
        # A worker opens the files anew: only their folder travels.
        if self.folder is not None:
            return _open_store, (self.folder,)
        return _Store, (self.arrays,)


def _open_store(folder: Path) -> _Store:
    # Copy-on-write: torch wants writable arrays, and the files stay as they are.
    arrays = {n: np.load(folder / f"{n}.npy", mmap_mode="c") for n in _KINDS}
    return _Store(arrays, folder)


@dataclass(eq=False)
class SliceSet(Dataset):
    """Samples with labels, masks, and the patient and site that they come from.

    Slices of patients, or whole volumes: ``...`` stands for the axes in space, ``H, W``
    or ``D, H, W``. An item is a dictionary of tensors: ``image`` (C, ...) float32,
    ``label`` int64, ``tumor`` (...) int64, ``brain`` (...) bool, ``site`` int64 (in the
    order of `sites`, -1 where it is unknown), ``index`` int64.

    Attributes
    ----------
    store
        Where the arrays are.
    table
        Arrays of one entry a sample: labels, z, patient, site, case.
    sequences
        Names of the channels.
    classes
        Names of the labels: by default LGG 0 and HGG 1, and, if asked for, healthy 2.
        Label -1 means that the class is unknown.
    settings
        What the samples were made with.
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
            ``(N, C, ...)``.
        labels, patient, site, z
            ``(N,)``; `site` and `z` may be left out.
        tumor, brain
            ``(N, ...)``: the label map of what relevance is wanted on, and where it
            may lie at all.
        sequences
            Names of the C channels; default ``c0``, ``c1``, ...
        classes
            Names of the labels.
        """
        n, channels, *space = images.shape
        given = {"images": images, "tumor": tumor, "brain": brain}
        arrays = {k: np.asarray(a, dtype=_KINDS[k]) for k, a in given.items()}
        table = {
            "labels": np.asarray(labels, dtype=np.int64),
            "z": np.asarray([0] * n if z is None else z, dtype=np.int64),
            "patient": np.asarray(patient, dtype=str),
            "site": np.asarray([""] * n if site is None else site, dtype=str),
            "case": np.asarray(patient, dtype=str),
        }
        shapes = {**dict.fromkeys(table, (n,)), **_shapes(n, channels, space)}
        for name, array in (arrays | table).items():
            if array.shape != shapes[name]:
                raise ValueError(f"{name} has shape {array.shape}, not {shapes[name]}")
        names = sequences or [f"c{i}" for i in range(channels)]
        if len(names) != channels:
            raise ValueError(f"{len(names)} sequences named for {channels} channels")
        return cls(_Store(arrays), table, tuple(names), tuple(classes))

    def _array(self, name: str) -> np.ndarray:
        whole = self.store.arrays[name]
        return whole if self.rows is None else whole[self.rows]

    @cached_property
    def images(self) -> np.ndarray:
        """``(N, C, ...)`` float32; mapped from disk, but read in for a subset."""
        return self._array("images")

    @cached_property
    def tumor(self) -> np.ndarray:
        """``(N, ...)`` uint8: label map, 0 where there is no tumor."""
        return self._array("tumor")

    @cached_property
    def brain(self) -> np.ndarray:
        """``(N, ...)`` bool."""
        return self._array("brain")

    @property
    def labels(self) -> np.ndarray:
        """``(N,)`` int64: index in `classes`, -1 where it is unknown."""
        return self.table["labels"]

    @property
    def patient(self) -> np.ndarray:
        """``(N,)`` names."""
        return self.table["patient"]

    @property
    def site(self) -> np.ndarray:
        """``(N,)`` names; empty where unknown."""
        return self.table["site"]

    @cached_property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites that are here, sorted."""
        return tuple(sorted(set(self.site.tolist()) - {""}))

    @cached_property
    def _site_number(self) -> np.ndarray:
        number = {name: i for i, name in enumerate(self.sites)}
        return np.array([number.get(name, -1) for name in self.site], dtype=np.int64)

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
            raise IndexError(f"sample {index} of {len(self)}")
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
            "site": torch.from_numpy(self._site_number[index]),
            "index": torch.from_numpy(index),
        }

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _KINDS}

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{(self.labels == i).sum()} {name}" for i, name in enumerate(self.classes)
        )
        what = "slices" if self.store.arrays["images"].ndim == 4 else "volumes"
        return (
            f"SliceSet({len(self)} {what} of {len(set(self.patient))} patients: "
            f"{counts}; {', '.join(self.sequences)})"
        )

    def subset(self, idx: Sequence[int] | np.ndarray) -> "SliceSet":
        """The samples at positions, or where a mask is true; nothing is copied."""
        idx = np.asarray(idx)
        if idx.dtype == bool:
            if len(idx) != len(self):
                raise IndexError(f"a mask of {len(idx)} for {len(self)} samples")
            idx = np.flatnonzero(idx)
        idx = idx.astype(np.int64)
        if len(idx) and not (-len(self) <= idx.min() and idx.max() < len(self)):
            raise IndexError(f"positions beyond the {len(self)} samples")
        idx = idx % max(len(self), 1)
        return replace(
            self,
            table={name: column[idx] for name, column in self.table.items()},
            rows=idx if self.rows is None else self.rows[idx],
        )

    def frame(self) -> pd.DataFrame:
        """A row a sample: case, patient, site, class, z and tumor area in pixels."""
        space = tuple(range(1, self.tumor.ndim))
        columns = {
            **{name: self.table[name] for name in ("case", "patient", "site")},
            "class": np.array([*self.classes, "unknown"])[self.labels],
            "z": self.z,
            "tumor_pixels": np.count_nonzero(self.tumor, axis=space),
        }
        return pd.DataFrame(columns)

    def report(self) -> pd.DataFrame:
        """Cases that were left out on the way, and why."""
        return pd.DataFrame(self.problems, columns=Problem.columns())

    def with_arrays(self, **arrays: np.ndarray) -> "SliceSet":
        """The same samples, in memory, with other images, tumor or brain."""
        if unknown := set(arrays) - set(_KINDS):
            raise TypeError(f"{', '.join(unknown)} is none of {', '.join(_KINDS)}")
        given = {
            name: np.asarray(arrays.get(name, getattr(self, name)), dtype=kind)
            for name, kind in _KINDS.items()
        }
        for name, array in given.items():
            if array.shape != (shape := getattr(self, name).shape):
                raise ValueError(f"{name} has shape {array.shape}, not {shape}")
        return replace(self, store=_Store(given), rows=None)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the set to a folder; an existing set there is replaced."""
        path = check_target(path)
        rows = np.arange(len(self)) if self.rows is None else self.rows
        arrays = self.store.arrays

        def blocks(name: str) -> Iterable[np.ndarray]:
            for start in range(0, len(rows), 64):  # bounded memory
                yield arrays[name][rows[start : start + 64]]

        meta = {k: getattr(self, k) for k in ("sequences", "classes", "settings")}
        meta["problems"] = self.problems
        write_samples(path, arrays["images"].shape[1:], blocks, self.table, meta)
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
            columns = dict(table)
        names = tuple(meta["sequences"]), tuple(meta["classes"])
        about = meta["settings"], meta["problems"]
        return cls(_open_store(path), columns, *names, *about)


def _shapes(n: int, channels: int, space: Sequence[int]) -> dict[str, tuple[int, ...]]:
    whole = (n, *space)
    return {"images": (n, channels, *space), "tumor": whole, "brain": whole}


def check_target(path: str | os.PathLike[str]) -> Path:
    """A path that a slice set may be written to, or an error: nothing else is lost."""
    path = Path(path).expanduser()
    free = not path.exists() or (path.is_dir() and not any(path.iterdir()))
    if not free and not (path / "slices.json").is_file():
        raise FileExistsError(f"{path} exists and is no slice set: name another folder")
    return path


def write_samples(
    path: Path,
    shape: Sequence[int],
    blocks: Callable[[str], Iterable[np.ndarray]],
    table: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
) -> None:
    """Write what :meth:`SliceSet.load` opens, whole or not at all.

    Parameters
    ----------
    shape
        ``(C, ...)`` of an image.
    blocks
        Gives the array of a name in parts, along its first axis.
    """
    channels, *space = shape
    shapes = _shapes(len(table["labels"]), channels, space)
    with whole_or_absent(path, replace=True) as beside:
        beside.mkdir()
        for name, kind in _KINDS.items():
            with npy_stream(beside / f"{name}.npy", kind, shapes[name]) as append:
                for block in blocks(name):
                    append(block)
        columns: dict[str, Any] = dict(table)
        np.savez(beside / "table.npz", **columns)
        write_json(beside / "slices.json", meta)
