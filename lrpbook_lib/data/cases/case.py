"""Cases of any supported release, found and checked without being told which."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from lrpbook_lib.data.cases.releases import BY_NAME, Release
from lrpbook_lib.data.cases.volumes import (
    Kept,
    Volumes,
    brain_mask,
    fill_slices,
    read_sequence,
    resample,
    to_subject,
)


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
    grade
        ``"LGG"``, ``"HGG"`` or ``None``; never a guess. BraTS calls WHO grades II
        and III together LGG.
    paths
        Sequence name (``t1``, ``t1ce``, ``t2``, ``flair``, ``seg``) to file or folder.
    release
        Name of the release.
    who_grade
        2, 3 or 4 where a table tells it.
    diagnosis
        In Cheng's set: ``glioma``, ``meningioma`` or ``pituitary``.
    """

    id: str
    patient: str
    site: str | None
    grade: str | None
    paths: Mapping[str, Path]
    release: str
    who_grade: int | None = None
    diagnosis: str | None = None

    @property
    def description(self) -> Release:
        """The row of the table of releases."""
        return BY_NAME[self.release]

    @property
    def sequences(self) -> tuple[str, ...]:
        """The image sequences this case has, the mask left out."""
        return tuple(name for name in self.paths if name != "seg")

    def load(
        self,
        sequences: Iterable[str] | None = None,
        spacing: float | None = None,
    ) -> Volumes:
        """Read the volumes: right-front-up, masks in one label scheme, brain mask.

        Parameters
        ----------
        sequences
            Which to read; default all. The mask ``seg`` always comes along.
        spacing
            Edge of the cubic voxels to resample to, mm; default as on disk.
        """
        names = tuple(self.sequences if sequences is None else sequences)
        arrays, affine, shape = {}, None, None
        kept: Kept = {}
        for name in (*names, *(("seg",) if "seg" in self.paths else ())):
            data, own = read_sequence(self, name, kept)
            # The images' header counts: masks are at times saved without theirs.
            affine = own if affine is None else affine
            if shape not in (None, data.shape):
                raise ValueError(
                    f"{self.paths[name]} has shape {data.shape}, the others of case "
                    f"{self.id} have {shape}"
                )
            shape = data.shape
            arrays[name] = data if name == "seg" else data.astype("f4")
        if affine is None:
            raise ValueError(f"case {self.id}: name at least one sequence to load")
        images = [arrays[name] for name in names]
        if images:
            stripped = self.description.stripped
            arrays["brain"] = fill_slices(brain_mask(images, stripped))
        volumes = Volumes(arrays, affine)
        return volumes if spacing is None else resample(volumes, spacing)

    def subject(self, spacing: float | None = None) -> Any:
        """The case as a ``torchio.Subject``."""
        return to_subject(self.load(spacing=spacing))


@dataclass(frozen=True)
class Problem:
    """Something wrong with a case.

    Attributes
    ----------
    case, release
        Which case.
    kind
        A few words, the same for the same trouble.
    detail
        What exactly, with the file.
    dropped
        Whether the case is left out because of it.
    """

    case: str
    release: str
    kind: str
    detail: str
    dropped: bool = True


@dataclass
class CaseList(list):
    """The sound cases, and what was wrong with the others.

    Attributes
    ----------
    problems
        One :class:`Problem` for each thing that is wrong.
    """

    cases: Iterable[Case] = ()
    problems: list[Problem] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.cases)
        self.cases = ()

    __repr__ = list.__repr__
    __eq__ = list.__eq__
    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self):
        return type(self), (list(self), self.problems)

    def table(self) -> pd.DataFrame:
        """The cases, a row each."""
        columns = ["id", "patient", "site", "grade", "who_grade", "release"]
        rows = [[getattr(case, c) for c in columns] for case in self]
        table = pd.DataFrame(rows, columns=columns)
        table["who_grade"] = table["who_grade"].astype("Int64")
        return table

    def report(self) -> pd.DataFrame:
        """The problems, a row each: case, release, kind, detail, dropped."""
        columns = ["case", "release", "kind", "detail", "dropped"]
        rows = [[getattr(p, c) for c in columns] for p in self.problems]
        return pd.DataFrame(rows, columns=columns)

    def summary(self) -> pd.DataFrame:
        """How many cases of each release are sound and how many dropped, and why.

        Sound cases that neither folder nor table gives a grade are counted as
        ``ungraded``: their slices have the label -1. The release's table, where there
        is one, helps: ``find_cases(..., tables=...)``.
        """
        rows = []
        releases = {c.release for c in self} | {p.release for p in self.problems}
        for name in sorted(releases):
            mine = [p for p in self.problems if p.release == name]
            lost = {p.case for p in mine if p.dropped}
            kinds: dict[str, set[str]] = {}
            for problem in mine:
                kinds.setdefault(problem.kind, set()).add(problem.case)
            why = "; ".join(f"{kind}: {len(ids)}" for kind, ids in kinds.items())
            sound = [c for c in self if c.release == name]
            ungraded = sum(c.grade is None and c.diagnosis is None for c in sound)
            rows.append([name, len(sound), len(lost), ungraded, why or "-"])
        columns = ["release", "sound", "dropped", "ungraded", "why"]
        return pd.DataFrame(rows, columns=columns)


def check_unique(cases: Iterable[Case]) -> None:
    """Raise where two cases carry the same id: their slices could not be told apart."""
    seen: dict[tuple[str, str], Case] = {}
    for case in cases:
        name = (case.release, case.id)
        if name in seen:
            here, there = (next(iter(c.paths.values())) for c in (case, seen[name]))
            raise ValueError(
                f"the id {case.id} occurs twice, in {there} and {here}: rename or "
                "leave out one of them"
            )
        seen[name] = case


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


def as_path(folder: str | os.PathLike[str]) -> Path:
    """A folder that exists, or an error that says what is there instead."""
    path = Path(folder).expanduser()
    if path.is_file():
        raise NotADirectoryError(
            f"{path} is a file: name the folder of a release (unpack archives first)"
        )
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist: name the folder of a release")
    return path
