"""Tables that come with the releases: facts, sites, and who is the same patient."""

import csv
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

_ID = re.compile(r"BraTS_20(\d\d)_subject_ID", re.IGNORECASE)
_NOTHING = {"", "NA", "N/A", "NAN", "NONE"}


@dataclass(frozen=True)
class Record:
    """What a table says of one id.

    Attributes
    ----------
    patient
        Name shared by all the ids of this patient.
    site
        Source site.
    facts
        See :class:`~lrpbook_lib.data.Case`.
    """

    patient: str | None = None
    site: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A kind of table: the columns it is recognized by, and what reads it.

    Attributes
    ----------
    columns
        A table that has all of them is of this kind.
    records
        Id and record of what the rows (dictionaries of text) say.
    """

    columns: tuple[str, ...]
    records: Callable[[pd.DataFrame], Iterable[tuple[str, Record]]]


def key(identifier: str) -> str:
    """An id as it is compared: upper case, one separator, no leading zeros.

    UCSF-PDGM names a folder ``UCSF-PDGM-0004`` and a table row ``UCSF-PDGM-004``.
    """
    one = re.sub(r"[_\s]+", "-", identifier.strip().upper())
    return re.sub(r"\d+", lambda m: str(int(m[0])), one)


def site_of(brats_id: str) -> str | None:
    """Source site inside a BraTS 2017-2019 id, e.g. TCIA10 or CBICA."""
    found = re.match(r"brats1\d_([a-z]+\d*|\d{4})_", brats_id, re.IGNORECASE)
    return found[1] if found else None


def told(text: str) -> bool:
    """Whether a cell says anything; the releases write NA where they do not."""
    return text.strip().upper() not in _NOTHING


def read_table(path: Path) -> pd.DataFrame:
    """A table of text; the literal "NA" of the releases stays what it is.

    Columns may be separated by tabs, or by semicolons, as a spreadsheet program leaves
    a file that it has saved again.
    """
    return pd.read_csv(
        path,
        sep=_separator(path),
        dtype=str,
        keep_default_na=False,
        encoding="utf-8-sig",
    )


def _separator(path: Path) -> str:
    with path.open(encoding="utf-8-sig") as stream:
        return max(",;\t", key=stream.readline().count)


def _graded(grade: str | None, who: int | None = None) -> dict[str, Any]:
    facts = {"grade": grade, "who_grade": who}
    return {name: value for name, value in facts.items() if value is not None}


def _name_mapping(table: pd.DataFrame) -> Iterable[tuple[str, Record]]:
    ids = [c for c in table.columns if _ID.fullmatch(c)]
    ids.sort(key=lambda c: -int(_ID.fullmatch(c)[1]))  # type: ignore[index]
    for row in table.to_dict("records"):
        known = {c: row[c] for c in ids if told(row[c])}
        tcga = row.get("TCGA_TCIA_subject_ID", "NA")
        older = [v for c, v in known.items() if not c.startswith("BraTS_2020")]
        sites = [s for v in older if (s := site_of(v))]
        # As finding names the patient of a case where no table is at hand.
        stem = re.sub(r"(?i)^Brats\d\d_(.+)_\d+$", r"\1", older[0]) if older else None
        patient = tcga if told(tcga) else stem
        grade = row.get("Grade", "").upper()
        record = Record(
            patient or next(iter(known.values()), None),
            sites[0] if sites else None,
            _graded(grade if grade in ("HGG", "LGG") else None),
        )
        for name in [*known.values(), *([tcga] if tcga == patient else [])]:
            yield name, record


def _ucsf(table: pd.DataFrame) -> Iterable[tuple[str, Record]]:
    for row in table.to_dict("records"):
        match = re.fullmatch(r"\s*([234])(?:\.0)?\s*", row["WHO CNS Grade"])
        who = int(match[1]) if match else None
        # Four digits, as in the folders, which are all there is without the table.
        patient = re.sub(r"\d+$", lambda m: m[0].zfill(4), row["ID"].strip())
        grade = None if who is None else "HGG" if who == 4 else "LGG"
        record = Record(patient, "UCSF", _graded(grade, who))
        yield patient, record
        if told(other := row.get("BraTS21 ID", "")):
            yield other, record


def _tcga_lgg(table: pd.DataFrame) -> Iterable[tuple[str, Record]]:
    for row in table.to_dict("records"):
        code = row["neoplasm_histologic_grade"].strip()
        who = {"1": 2, "2": 3, "1.0": 2, "2.0": 3}.get(code)
        patient = row["Patient"].replace("_", "-")
        grade = None if who is None else "LGG"
        yield patient, Record(patient, facts=_graded(grade, who))


#: The name_mapping of BraTS: a row a patient, with the id in each release.
NAME_MAPPINGS = tuple(
    Table((f"BraTS_{year}_subject_ID",), _name_mapping) for year in (2019, 2020, 2018)
)
UCSF_METADATA = Table(("ID", "WHO CNS Grade"), _ucsf)
TCGA_LGG_DATA = Table(("Patient", "neoplasm_histologic_grade"), _tcga_lgg)


def is_table(name: str) -> bool:
    """Whether a file name may be a table's."""
    return name.lower().endswith((".csv", ".tsv"))


def table_files(tables: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that `tables` names, one by one or by their folder."""
    files = []
    for path in (Path(t).expanduser() for t in tables):
        if not path.exists():
            raise FileNotFoundError(f"tables: {path} does not exist")
        inside = [p for p in sorted(path.glob("*")) if is_table(p.name)]
        files += inside if path.is_dir() else [path]
    return files


def read_records(
    paths: Iterable[Path], kinds: Iterable[Table]
) -> tuple[dict[str, list[Record]], dict[Path, str]]:
    """All that tables of these kinds among `paths` say, by :func:`key` of the id.

    Returns
    -------
    records, broken
        What is said, and the tables that cannot be read, with the reason.
    """
    kinds = tuple(dict.fromkeys(kinds))
    records: dict[str, list[Record]] = {}
    broken: dict[Path, str] = {}
    for path in paths:
        try:
            # Other people's tables may be large: the header tells whether to go on.
            separator = _separator(path)
            with path.open(newline="", encoding="utf-8-sig") as stream:
                header = set(next(csv.reader(stream, delimiter=separator), []))
        except (OSError, UnicodeDecodeError, csv.Error):
            continue
        kind = next((k for k in kinds if header.issuperset(k.columns)), None)
        try:
            for name, record in kind.records(read_table(path)) if kind else ():
                records.setdefault(key(name), []).append(record)
        except (OSError, ValueError) as error:  # pandas' errors are values
            broken[path] = str(error).strip()
    return records, broken
