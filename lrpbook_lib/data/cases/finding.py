"""Finding cases: walk a folder, recognize files, group them, check them."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from lrpbook_lib.data.cases.case import Case, CaseList, Problem, as_path
from lrpbook_lib.data.cases.checking import (
    CONVERT,
    check_case,
    copied_channels,
    is_dicom,
)
from lrpbook_lib.data.cases.releases import RELEASES, Release, recognize, sequence_of
from lrpbook_lib.data.cases.repeats import join_repeats
from lrpbook_lib.data.cases.tables import Record, csv_files, key, read_records
from lrpbook_lib.files import same_content, usable_cores

_GRADES = {"HGG": "HGG", "GBM": "HGG", "LGG": "LGG"}
#: Endings of DICOM files; many have none.
_MAYBE_DICOM = ("", ".dcm", ".dicom", ".ima")
_DIAGNOSES = {1: "meningioma", 2: "glioma", 3: "pituitary"}


@dataclass
class _Found:
    """The files of one case, before anything is decided."""

    release: Release
    id: str
    site: str | None
    files: dict[str, list[tuple[int, Path]]] = field(default_factory=dict)

    def add(self, sequence: str, rank: int, path: Path) -> None:
        self.files.setdefault(sequence, []).append((rank, path))


def find_cases(
    root: str | os.PathLike[str],
    *,
    require: Iterable[str] | None = None,
    tables: Iterable[str | os.PathLike[str]] = (),
    thorough: bool = False,
    workers: int | None = None,
) -> CaseList:
    """Find the cases of every supported release below a folder.

    Releases are recognized by how their files are named. Grades come from folders or
    tables; tables are taken from the folder, from beside it, and from `tables`.
    Each case is checked: files there and whole, shapes equal, mask readable with
    known labels and not empty, no NaN. What fails is left out and told by
    ``.report()`` and ``.summary()`` of the result, as are DICOM files, which are not
    read. Cases that hold the same images under two names get one patient.

    Parameters
    ----------
    root
        Folder to search, at any depth.
    require
        Sequences a case must have (``seg`` is the mask); default those its release
        always has. Validation cases have no mask: ``require=("t1", "t2")``.
    tables
        Further CSV files, such as a ``name_mapping.csv`` kept elsewhere, or folders
        of them.
    thorough
        Read every volume to its end, instead of the masks alone. Damage inside a
        compressed volume is otherwise found when its slices are extracted.
    workers
        Threads; default one a core.

    Returns
    -------
    CaseList
        The sound cases, sorted by release and id.
    """
    root = as_path(root)
    found, strays, csvs, dicom = _walk(root)
    if not found:
        names = ", ".join(release.name for release in RELEASES)
        advice = (
            f"{next(iter(dicom))} holds DICOM files: {CONVERT}"
            if dicom
            else "name the folder that holds the case folders, and unpack archives "
            "first"
        )
        raise ValueError(
            f"no case of a known release below {root} (looked for {names}); {advice}"
        )
    beside = [
        p
        for place in (root.parent, root.parent / "tables")
        for p in sorted(place.glob("*.csv"))
    ]
    records, broken = read_records([*csvs, *beside, *csv_files(tables)])
    wanted = None if require is None else tuple(require)
    jobs = workers or usable_cores()
    results = Parallel(n_jobs=jobs, prefer="threads")(
        delayed(_settle)(one, strays, records, root, wanted, thorough) for one in found
    )
    sound = []
    problems = [
        Problem(path.name, "table", "unreadable table", f"{path}: {why}", False)
        for path, why in broken.items()
    ]
    for folder, count in dicom.items():
        detail = f"{folder} holds {count} DICOM files: {CONVERT}"
        problems.append(Problem(folder.name, "DICOM", "DICOM", detail))
    for case, trouble, marks in results:
        problems += trouble
        if case is not None:
            sound.append((case, marks))
    cases, repeated = join_repeats(sound)
    return CaseList(cases, [*problems, *repeated])


def _walk(
    root: Path,
) -> tuple[list[_Found], dict[Path, list[Path]], list[Path], dict[Path, int]]:
    """Files by case, unknown NIfTI files by folder, tables, DICOM files a folder."""
    groups: dict[tuple[str, str], _Found] = {}
    strays: dict[Path, list[Path]] = {}
    csvs: list[Path] = []
    dicom: dict[Path, int] = {}
    for folder, inner, names in os.walk(root, followlinks=True):
        here = Path(folder)
        inner[:] = sorted(
            n for n in inner if not n.startswith(".") and not _leads_back(here / n)
        )
        for name in sorted(n for n in names if not n.startswith(".")):
            path = here / name
            if name.lower().endswith(".csv"):
                csvs.append(path)
                continue
            # The folder above the root belongs to the name: imagesTr/BRATS_001.
            relative = (Path(root.name) / path.relative_to(root)).as_posix()
            if hit := recognize(relative):
                _file_under(groups, strays, path, *hit)
            elif name.lower().endswith((".nii", ".nii.gz")) and (
                "brain" not in name.lower()
            ):
                strays.setdefault(here, []).append(path)
            elif path.suffix.lower() in _MAYBE_DICOM and is_dicom(path):
                dicom[here] = dicom.get(here, 0) + 1
    order = [release.name for release in RELEASES]
    found = sorted(groups.values(), key=lambda f: (order.index(f.release.name), f.id))
    return found, strays, csvs, dicom


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that holds it: a walk would never end."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(
        folder.resolve()
    )


def _may_be_mask(path: Path) -> bool:
    """Whether an unknown name may be that of a tumor mask; a brain mask's is not."""
    name = path.name.lower()
    return "seg" in name and "brain" not in name


def _file_under(
    groups: dict[tuple[str, str], _Found],
    strays: dict[Path, list[Path]],
    path: Path,
    release: Release,
    match: re.Match[str],
) -> None:
    names = match.groupdict()
    one = groups.setdefault(
        (release.name, names["case"].upper()),
        _Found(release, names["case"], names.get("site") or release.site),
    )
    if release.kind == "nifti":
        if hit := sequence_of(names["token"]):
            one.add(hit[0], hit[1], path)
        elif _may_be_mask(path):
            strays.setdefault(path.parent, []).append(path)
    elif release.kind == "nifti4d":
        if names["token"].lower().startswith("labels"):
            one.add("seg", 0, path)
        else:
            for sequence in release.channels:
                one.add(sequence, 0, path)
    else:
        place = path.parent if release.kind == "tif" else path
        for sequence in release.expects:
            if (0, place) not in one.files.get(sequence, []):
                one.add(sequence, 0, place)


def _settle(
    found: _Found,
    strays: dict[Path, list[Path]],
    records: dict[str, list[Record]],
    root: Path,
    require: tuple[str, ...] | None,
    thorough: bool,
) -> tuple[Case | None, list[Problem], set[str]]:
    """Make a case of its files, with the marks of their content, or tell why not."""
    release, problems, marks = found.release, [], set[str]()

    def problem(kind: str, detail: str, dropped: bool = True) -> None:
        problems.append(Problem(found.id, release.name, kind, detail, dropped))

    paths: dict[str, Path] = {}
    for sequence in release.expects:
        ranked = sorted(found.files.get(sequence, []))
        best = [path for rank, path in ranked if rank == ranked[0][0]]
        if len({p.parent for p in best}) > 1:
            shown = " and ".join(str(p.parent) for p in best[:2])
            if not same_content(best):
                problem(
                    "id collides", f"{found.id} lies in {shown}: rename one of them"
                )
                return None, problems, marks
            # Kaggle's TCGA-LGG archive holds everything twice, for one.
            if not problems:
                problem("copied case", f"{found.id} lies in {shown}, alike", False)
        if best:
            paths[sequence] = best[0]
    if "seg" not in paths and paths:
        # One NIfTI left over in the case's own folder is its misnamed mask (case 355
        # of BraTS 2020, e.g.).
        left = strays.get(next(iter(paths.values())).parent, [])
        if len(left) == 1 and release.kind == "nifti":
            paths["seg"] = left[0]

    patient = _first_group(release.patient, found.id)
    said = _records_of(found, patient, records)
    folder = next(iter(paths.values())) if paths else root
    grades = {r.grade for r in said if r.grade}
    if grade := _grade_from_folders(folder, root, release.grade_folder):
        grades.add(grade)
    if release.grade:
        grades.add(release.grade)
    if len(grades) > 1:
        problem(
            "grade conflict",
            "folder and tables name both grades; left as None",
            dropped=False,
        )
    case = Case(
        id=found.id,
        patient=next((r.patient for r in said if r.patient), patient),
        site=found.site or next((r.site for r in said if r.site), None),
        grade=grades.pop() if len(grades) == 1 else None,
        paths=paths,
        release=release.name,
        who_grade=next((r.who_grade for r in said if r.who_grade), None),
    )
    if release.kind == "mat":
        case, trouble = _read_cheng(case)
        if trouble:
            problem("unreadable file", trouble)
            return None, problems, marks
    if release.kind == "tif":
        for name in copied_channels(case):
            problem("copied sequence", f"{name} repeats flair and is left out", False)
            kept = {k: v for k, v in case.paths.items() if k != name}
            case = replace(case, paths=kept)
    needed = case.description.expects if require is None else require
    if require is None and release.kind == "tif":
        needed = ("seg",)
    if set(case.paths) == {"seg"}:
        problem("mask without images", f"{case.paths['seg']} is all there is of it")
        return None, problems, marks
    for sequence in needed:
        if sequence not in case.paths:
            what = "missing mask" if sequence == "seg" else "missing sequence"
            problem(what, f"no {sequence} file in {folder.parent}")
    if not problems or not any(p.dropped for p in problems):
        for kind, detail in check_case(case, thorough, marks):
            problem(kind, detail)
    lost = any(p.dropped for p in problems)
    return (None if lost else case), problems, marks


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.IGNORECASE)
    name = match[1] if match else text
    # The TCGA-LGG set writes TCGA_CS_4941 for TCGA-CS-4941.
    return name.replace("_", "-") if name.upper().startswith("TCGA_") else name


def _records_of(
    found: _Found, patient: str, records: dict[str, list[Record]]
) -> list[Record]:
    said = records.get(key(found.id), [])
    return [*said, *(r for r in records.get(key(patient), []) if r not in said)]


def _grade_from_folders(path: Path, root: Path, how: str) -> str | None:
    """Grade named by the nearest folder, from the case up to the root's parent.

    Names above the root are the user's own, and say something only where they are
    a grade and nothing else, or TCIA's own name of the collection.
    """
    for folder in path.parents if how else ():
        name = folder.name.upper()
        inside = folder.is_relative_to(root) or "_TCGA_" in name
        words = re.split(r"[^A-Z]+", name) if how == "words" and inside else [name]
        named = {_GRADES[w] for w in words if w in _GRADES}
        if len(named) == 1:
            return named.pop()
        if not inside:
            return None
    return None


def _read_cheng(case: Case) -> tuple[Case, str | None]:
    import h5py

    path = case.paths["t1ce"]
    try:
        with h5py.File(path, "r") as file:
            data = file["cjdata"]
            pid = "".join(chr(int(c)) for c in np.ravel(data["PID"][:]))
            label = int(np.ravel(data["label"][:])[0])
    except (OSError, KeyError, ValueError) as error:
        return case, f"{path} is no cjdata file: {error}"
    return replace(case, patient=pid, diagnosis=_DIAGNOSES.get(label)), None
