"""Sets of slices in one file: a small description each, and one way to read them."""

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrpbook_lib.data.samples import SliceSet
from lrpbook_lib.places import data_home


@dataclass(frozen=True)
class PackedSet:
    """How a set of slices lies in one ``.npz`` file, and what it means."""

    name: str  #: what people call it
    file: str  #: where it is looked for, below :func:`~lrpbook_lib.places.data_home`
    arrays: tuple[str, ...]  #: what the file holds
    #: From these by name, and the edge in pixels that is wanted, to the arguments of
    #: :meth:`SliceSet.from_arrays`, and ``problems`` if there are any.
    samples: Callable[[Mapping[str, np.ndarray], int | None], dict[str, Any]]
    how: str = ""  #: how to get it

    def find(self) -> Path | None:
        """The file, or ``None`` where this machine has none."""
        home = data_home()
        return home / self.file if home and (home / self.file).is_file() else None

    def read(self, path: str | os.PathLike[str] | None = None) -> dict[str, np.ndarray]:
        """The arrays, from `path` or from where the set is looked for."""
        file = self.find() if path is None else Path(path).expanduser()
        if file is None:
            raise FileNotFoundError(
                f"the slices of {self.name} are not on this machine: {self.how}let "
                f"LRPBOOK_DATA name the folder above {self.file}"
            )
        try:
            with np.load(file, allow_pickle=False) as packed:
                found = {name: packed[name] for name in self.arrays if name in packed}
        except (ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{file} cannot be read: {error}; copy it again") from None
        if lacking := [name for name in self.arrays if name not in found]:
            raise ValueError(
                f"{file} holds no {', '.join(lacking)}: it is another file"
            )
        return found

    def slices(
        self, path: str | os.PathLike[str] | None = None, size: int | None = None
    ) -> SliceSet:
        """The set as samples.

        Parameters
        ----------
        path
            Another file than the one that is looked for.
        size
            Height and width, those of the file divided by a whole number; default as
            they are.
        """
        made = self.samples(self.read(path), size)
        problems = made.pop("problems", [])
        slices = SliceSet.from_arrays(**made)
        slices.problems.extend(problems)
        return slices


def shrink(images: np.ndarray, size: int | None) -> np.ndarray:
    """Means over squares: ``(..., H, H)`` to ``(..., size, size)``."""
    *rest, whole, _ = images.shape
    size = whole if size is None else size
    if size < 1 or whole % size:
        raise ValueError(f"size={size} does not divide {whole}")
    k = whole // size
    return np.asarray(images.reshape(*rest, size, k, size, k).mean((-3, -1)))


def shrink_mask(masks: np.ndarray, size: int | None) -> np.ndarray:
    """Where at least half of a square is in the mask."""
    return shrink((masks > 0).astype(np.float32), size) >= 0.5
