"""A case: one examination of one patient on disk, read in one way."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lrpbook_lib.data.cases.volumes import Volumes, fill_slices, resample

if TYPE_CHECKING:
    from lrpbook_lib.data.cases.readers import Reader

#: What the label map is called among the volumes of a case.
MASK = "seg"


@dataclass(frozen=True)
class Case:
    """One examination of one patient, on disk.

    Attributes
    ----------
    id
        Identifier in its release.
    patient
        Name of the patient, shared by examinations and releases as far as the
        tables tell.
    site
        Where the images come from, or ``None``.
    paths
        Channel name (``t1``, ``t1ce``, ``t2``, ``flair``), or ``seg`` for the label
        map, to file or folder.
    reader
        What knows the release, and how its files are read.
    facts
        What folders, tables and files say of the patient, never a guess:
        ``grade`` (``"LGG"`` or ``"HGG"``; BraTS calls WHO grades II and III together
        LGG), ``who_grade`` (2 to 4), ``diagnosis`` and so on. What is not said, or is
        said in two ways, is not in it.
    """

    id: str
    patient: str
    site: str | None
    paths: Mapping[str, Path]
    reader: "Reader"
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def release(self) -> str:
        """Name of the release."""
        return self.reader.name

    @property
    def label(self) -> str | None:
        """The fact that is the class to tell in this release; ``None`` if unknown."""
        return self.facts.get(self.reader.label)

    @property
    def grade(self) -> str | None:
        """``"LGG"``, ``"HGG"`` or ``None``."""
        return self.facts.get("grade")

    @property
    def who_grade(self) -> int | None:
        """2, 3 or 4 where a table tells it."""
        return self.facts.get("who_grade")

    @property
    def sequences(self) -> tuple[str, ...]:
        """The image channels this case has, the mask left out."""
        return tuple(name for name in self.paths if name != MASK)

    def open(self) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
        """What reads one volume after the other by name: data as stored, and affine.

        Axes run right, front and up, the mask ``seg`` is in the one label scheme, and
        a file that holds several volumes is opened once.
        """
        return self.reader.opened(self)

    def read(self, sequences: Iterable[str] | None = None) -> Volumes:
        """Channels as stored, on one grid, and the mask where there is one.

        Parameters
        ----------
        sequences
            Which to read; default all. The mask always comes along.
        """
        names = self.sequences if sequences is None else tuple(sequences)
        names = (*names, *((MASK,) if MASK in self.paths else ()))
        if not names:
            raise ValueError(f"case {self.id}: name at least one sequence to load")
        volume, arrays, affine = self.open(), {}, np.eye(4)
        for name in names:
            arrays[name], own = volume(name)
            # The images' header counts: masks are at times saved without theirs.
            affine = own if len(arrays) == 1 else affine
            first = arrays[names[0]].shape
            if arrays[name].shape != first:
                raise ValueError(
                    f"{self.paths[name]} has shape {arrays[name].shape}, "
                    f"{self.paths[names[0]]} has {first}"
                )
        return Volumes.of(arrays, affine)

    def load(
        self, sequences: Iterable[str] | None = None, spacing: float | None = None
    ) -> Volumes:
        """Read the volumes: images in float32, the mask, and ``brain``, a mask of it.

        Parameters
        ----------
        sequences
            Which to read; default all. The mask ``seg`` always comes along.
        spacing
            Edge of the cubic voxels to resample to, mm; default as on disk.
        """
        stored = self.read(sequences)
        arrays = {n: a if n == MASK else a.astype("f4") for n, a in stored.items()}
        images = [array for name, array in arrays.items() if name != MASK]
        if images:
            arrays["brain"] = fill_slices(self.reader.region(images))
        volumes = Volumes.of(arrays, stored.affine)
        return volumes if spacing is None else resample(volumes, spacing)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a case."""

    case: str
    release: str
    kind: str  #: a few words, the same for the same trouble
    detail: str  #: what exactly, with the file
    dropped: bool = True  #: whether the case is left out because of it

    @classmethod
    def columns(cls) -> list[str]:
        """Of a table of problems."""
        return [f.name for f in fields(cls)]


class CaseList(list[Case]):
    """The sound cases, and what was wrong with the others.

    Attributes
    ----------
    problems
        One :class:`Problem` for each thing that is wrong.
    """

    def __init__(self, cases: Iterable[Case] = (), problems: Iterable[Problem] = ()):
        super().__init__(cases)
        self.problems = list(problems)

    def table(self) -> pd.DataFrame:
        """The cases, a row each: id, patient, site, their facts, release."""
        facts = dict.fromkeys(f for c in self for f in (c.reader.label, *c.facts))
        rows = [
            [c.id, c.patient, c.site, *(c.facts.get(f) for f in facts), c.release]
            for c in self
        ]
        columns = ["id", "patient", "site", *facts, "release"]
        table = pd.DataFrame(rows, columns=columns)
        return table.convert_dtypes(convert_string=False)

    def report(self) -> pd.DataFrame:
        """The problems, a row each: case, release, kind, detail, dropped."""
        return pd.DataFrame(self.problems, columns=Problem.columns())

    def summary(self) -> pd.DataFrame:
        """How many cases of each release are sound and how many dropped, and why.

        Sound cases that neither folder nor table nor file gives a label are counted as
        ``ungraded``: their slices have the label -1. The release's table, where there
        is one, helps: ``find_cases(..., tables=...)``.
        """
        rows, told = [], self.report()
        for name in sorted({c.release for c in self} | set(told["release"])):
            sound = [c for c in self if c.release == name]
            mine = told[told["release"] == name]
            lost = mine.loc[mine["dropped"].astype(bool), "case"].nunique()
            kinds = mine.groupby("kind", sort=False)["case"].nunique()
            why = "; ".join(f"{kind}: {count}" for kind, count in kinds.items())
            ungraded = sum(c.label is None for c in sound)
            rows.append([name, len(sound), lost, ungraded, why or "-"])
        columns = ["release", "sound", "dropped", "ungraded", "why"]
        return pd.DataFrame(rows, columns=columns)


def duplicates(cases: Iterable[Case]) -> pd.DataFrame:
    """Patients who occur in more than one release, a row each.

    Returns
    -------
    DataFrame
        Index patient; one column a release with the case ids.
    """
    rows = [(c.patient, c.release, c.id) for c in cases]
    table = pd.DataFrame(rows, columns=["patient", "release", "id"])
    wide = table.pivot_table("id", "patient", "release", aggfunc=", ".join)
    return wide[wide.notna().sum(axis=1) > 1].fillna("")
