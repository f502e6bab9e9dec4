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
    """What a table says of one id."""

    patient: str | None = None  #: name shared by all the ids of this patient
    site: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  #: as in a case


@dataclass(frozen=True)
class Table:
    """A kind of table: the columns it is recognized by, and what reads it."""

    columns: tuple[str, ...]
    #: From a table of text to ids and what is said of them.
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
            {"grade": grade} if grade in ("HGG", "LGG") else {},
        )
        for name in [*known.values(), *([tcga] if tcga == patient else [])]:
            yield name, record


def _who(grade: str) -> dict[str, Any]:
    """Facts of a WHO grade, which spreadsheet programs may have made decimal."""
    text = grade.strip().removesuffix(".0")
    if text not in ("2", "3", "4"):
        return {}
    return {"grade": "HGG" if text == "4" else "LGG", "who_grade": int(text)}


def _ucsf(table: pd.DataFrame) -> Iterable[tuple[str, Record]]:
    for row in table.to_dict("records"):
        # Four digits, as in the folders, which are all there is without the table.
        patient = re.sub(r"\d+$", lambda m: m[0].zfill(4), row["ID"].strip())
        record = Record(patient, "UCSF", _who(row["WHO CNS Grade"]))
        yield patient, record
        if told(other := row.get("BraTS21 ID", "")):
            yield other, record


def _tcga_lgg(table: pd.DataFrame) -> Iterable[tuple[str, Record]]:
    for row in table.to_dict("records"):
        patient = row["Patient"].replace("_", "-")
        code = row["neoplasm_histologic_grade"].strip().removesuffix(".0")
        # Counted from 1, which is WHO grade II.
        yield patient, Record(patient, facts=_who({"1": "2", "2": "3"}.get(code, "")))


#: The name_mapping of BraTS: a row a patient, with the id in each release.
NAME_MAPPINGS = tuple(
    Table((f"BraTS_{year}_subject_ID",), _name_mapping) for year in (2019, 2020, 2018)
)
UCSF_METADATA = Table(("ID", "WHO CNS Grade"), _ucsf)
TCGA_LGG_DATA = Table(("Patient", "neoplasm_histologic_grade"), _tcga_lgg)

#: Endings of files that may be tables.
ENDINGS = (".csv", ".tsv")


def table_files(tables: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that `tables` names, one by one or by their folder."""
    files = []
    for path in (Path(t).expanduser() for t in tables):
        if not path.exists():
            raise FileNotFoundError(f"tables: {path} does not exist")
        inside = sorted(p for p in path.glob("*") if p.suffix.lower() in ENDINGS)
        files += inside if path.is_dir() else [path]
    return files


def read_records(
    paths: Iterable[Path], kinds: Iterable[Table]
) -> tuple[dict[str, list[Record]], dict[Path, str]]:
    """What tables of these kinds among `paths` say, by :func:`key` of the id.

    And the tables that cannot be read, with the reason.
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
