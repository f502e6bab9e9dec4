"""Tables that come with the releases: grades, sites, and who is the same patient."""

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_ID = re.compile(r"BraTS_20(\d\d)_subject_ID", re.IGNORECASE)
_NOTHING = {"", "NA", "N/A", "NAN", "NONE"}


@dataclass(frozen=True)
class Record:
    """What a table says of one id; ``None`` where it says nothing.

    Attributes
    ----------
    grade
        ``"HGG"``, ``"LGG"`` or ``None``.
    who_grade
        WHO grade 2, 3 or 4.
    patient
        Name shared by all the ids of this patient.
    site
        Source site.
    source
        File name of the table.
    """

    grade: str | None
    who_grade: int | None
    patient: str | None
    site: str | None
    source: str


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


def read_table(path: Path) -> pd.DataFrame:
    """A table of text; the literal "NA" of the releases stays what it is.

    Columns may be separated by semicolons, as a spreadsheet program leaves a file
    that it has saved again.
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
        header = stream.readline()
    return ";" if header.count(";") > header.count(",") else ","


def _who_to_grade(text: str) -> tuple[str | None, int | None]:
    match = re.fullmatch(r"\s*([234])(?:\.0)?\s*", text)
    if not match:
        return None, None
    who = int(match[1])
    return ("HGG" if who == 4 else "LGG"), who


def _name_mapping(table: pd.DataFrame, source: str) -> Iterable[tuple[str, Record]]:
    ids = [c for c in table.columns if _ID.fullmatch(c)]
    ids.sort(key=lambda c: -int(_ID.fullmatch(c)[1]))  # type: ignore[index]
    for row in table.to_dict("records"):
        known = {c: row[c] for c in ids if row[c].upper() not in _NOTHING}
        tcga = row.get("TCGA_TCIA_subject_ID", "NA")
        older = [v for c, v in known.items() if not c.startswith("BraTS_2020")]
        sites = [s for v in older if (s := site_of(v))]
        # As finding names the patient of a case where no table is at hand.
        stem = re.sub(r"(?i)^Brats\d\d_(.+)_\d+$", r"\1", older[0]) if older else None
        patient = tcga if tcga.upper() not in _NOTHING else stem
        grade = row.get("Grade", "").upper()
        record = Record(
            grade if grade in ("HGG", "LGG") else None,
            None,
            patient or next(iter(known.values()), None),
            sites[0] if sites else None,
            source,
        )
        for name in [*known.values(), *([tcga] if tcga == patient else [])]:
            yield key(name), record


def _ucsf(table: pd.DataFrame, source: str) -> Iterable[tuple[str, Record]]:
    for row in table.to_dict("records"):
        grade, who = _who_to_grade(row["WHO CNS Grade"])
        # Four digits, as in the folders, which are all there is without the table.
        patient = re.sub(r"\d+$", lambda m: m[0].zfill(4), row["ID"].strip())
        record = Record(grade, who, patient, "UCSF", source)
        yield key(patient), record
        other = row.get("BraTS21 ID", "")
        if other.upper() not in _NOTHING:
            yield key(other), record


def _tcga_lgg(table: pd.DataFrame, source: str) -> Iterable[tuple[str, Record]]:
    for row in table.to_dict("records"):
        code = row["neoplasm_histologic_grade"].strip()
        who = {"1": 2, "2": 3, "1.0": 2, "2.0": 3}.get(code)
        grade = None if who is None else "LGG"
        patient = row["Patient"].replace("_", "-")
        yield key(patient), Record(grade, who, patient, None, source)


#: Columns a table is recognized by, and what reads it.
_READERS = (
    ({"BraTS_2019_subject_ID"}, _name_mapping),
    ({"BraTS_2020_subject_ID"}, _name_mapping),
    ({"BraTS_2018_subject_ID"}, _name_mapping),
    ({"ID", "WHO CNS Grade"}, _ucsf),
    ({"Patient", "neoplasm_histologic_grade"}, _tcga_lgg),
)


def csv_files(tables: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The CSV files that `tables` names, one by one or by their folder."""
    files = []
    for path in (Path(t).expanduser() for t in tables):
        if not path.exists():
            raise FileNotFoundError(f"tables: {path} does not exist")
        files += sorted(path.glob("*.csv")) if path.is_dir() else [path]
    return files


def read_records(
    paths: Iterable[Path],
) -> tuple[dict[str, list[Record]], dict[Path, str]]:
    """All that the recognized tables among `paths` say, by :func:`key` of the id.

    Returns
    -------
    records, broken
        What is said, and the tables that cannot be read, with the reason.
    """
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
        for columns, reader in _READERS:
            if columns <= header:
                try:
                    for name, record in reader(read_table(path), path.name):
                        records.setdefault(name, []).append(record)
                except (OSError, ValueError) as error:  # pandas' errors are values
                    broken[path] = str(error).strip()
                break
    return records, broken


def site_grade_table(mapping: pd.DataFrame) -> pd.DataFrame:
    """Patients of each source site and grade, from a name_mapping table.

    Parameters
    ----------
    mapping
        The table as :func:`read_table` gives it.

    Returns
    -------
    DataFrame
        Index site, columns HGG and LGG. Patients without a site in any id, newcomers
        of BraTS 2020, are counted as ``(not told)``.
    """
    ids = [
        c for c in ("BraTS_2019_subject_ID", "BraTS_2018_subject_ID") if c in mapping
    ]
    told = mapping[ids].map(site_of)
    site = told.bfill(axis=1).iloc[:, 0].fillna("(not told)")
    counts = pd.crosstab(site.rename("site"), mapping["Grade"].rename("grade"))
    return counts.reindex(columns=["HGG", "LGG"], fill_value=0)


def site_facts(mapping: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """What the source site tells of the grade in a name_mapping table: counts only.

    Returns
    -------
    dict
        ``sites`` (site to ``[HGG, LGG]`` patients), and ``auc``,
        ``balanced_accuracy`` and ``patients`` of :func:`site_predicts_grade`.
    """
    counts = site_grade_table(mapping)
    told = counts.drop(index="(not told)", errors="ignore")
    flat = [
        (str(site), grade)
        for site, row in told.iterrows()
        for grade in ("HGG", "LGG")
        for _ in range(int(row[grade]))
    ]
    predicted = site_predicts_grade([s for s, _ in flat], [g for _, g in flat], seed)
    sites = {str(s): [int(r["HGG"]), int(r["LGG"])] for s, r in counts.iterrows()}
    return {"sites": sites, **predicted}


def site_predicts_grade(
    site: Iterable[str], grade: Iterable[str], seed: int = 0, folds: int = 5
) -> dict[str, float]:
    """How well nothing but the site predicts the grade, cross-validated.

    A logistic regression on one-hot sites, one row a patient, stratified folds.

    Returns
    -------
    dict
        ``auc`` and ``balanced_accuracy`` of the out-of-fold predictions, and the
        number of ``patients``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    x = np.asarray(list(site), dtype=object)[:, None]
    y = (np.asarray(list(grade)) == "HGG").astype(int)
    model = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(class_weight="balanced"),
    )
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    chance = cross_val_predict(model, x, y, cv=splits, method="predict_proba")[:, 1]
    return {
        "auc": float(roc_auc_score(y, chance)),
        "balanced_accuracy": float(balanced_accuracy_score(y, chance > 0.5)),
        "patients": len(y),
    }
