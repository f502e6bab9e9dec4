"""Finding cases: walk a folder, recognize files, group them, check them."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from lrpbook_lib.data.cases.case import MASK, Case, CaseList, Problem
from lrpbook_lib.data.cases.checking import check_case, join_repeats
from lrpbook_lib.data.cases.formats import CONVERT, is_dicom
from lrpbook_lib.data.cases.readers import Reader
from lrpbook_lib.data.cases.releases import RELEASES
from lrpbook_lib.data.cases.tables import (
    ENDINGS,
    Record,
    key,
    read_records,
    table_files,
)
from lrpbook_lib.files import same_content, usable_cores

#: Endings of DICOM files; many have none.
_MAYBE_DICOM = ("", ".dcm", ".dicom", ".ima")


@dataclass
class _Found:
    """The files of one case, before anything is decided."""

    reader: Reader
    id: str
    site: str | None
    #: Rank and path of each file that holds a channel.
    files: dict[str, set[tuple[int, Path]]] = field(default_factory=dict)


@dataclass
class _Walk:
    """What lies below a folder."""

    cases: dict[tuple[str, str], _Found] = field(default_factory=dict)
    #: NIfTI files of unknown names, by folder: one may be a misnamed mask.
    strays: dict[Path, list[Path]] = field(default_factory=dict)
    tables: list[Path] = field(default_factory=list)
    #: How many DICOM files a folder holds.
    dicom: dict[Path, int] = field(default_factory=dict)


def find_cases(
    root: str | os.PathLike[str],
    *,
    require: Iterable[str] | None = None,
    tables: Iterable[str | os.PathLike[str]] = (),
    thorough: bool = False,
    workers: int | None = None,
    releases: Sequence[Reader] = RELEASES,
) -> CaseList:
    """Find the cases of every supported release below a folder.

    Releases are recognized by how their files are named. Grades and other facts come
    from folders, tables or the files; tables are taken from the folder, from beside it,
    and from `tables`. Each case is checked: files there and whole, shapes equal, mask
    readable with known labels and not empty, no NaN. What fails is left out and told by
    ``.report()`` and ``.summary()`` of the result, as are DICOM files, which are not
    read. Cases that hold the same images under two names get one patient.

    Parameters
    ----------
    root
        Folder to search, at any depth.
    require
        Channels a case must have (``seg`` is the mask); default those its release
        always has. Validation cases have no mask: ``require=("t1", "t2")``.
    tables
        Further CSV or TSV files, such as a ``name_mapping.csv`` kept elsewhere, or
        folders of them.
    thorough
        Read every volume to its end, instead of the masks alone. Damage inside a
        compressed volume is otherwise found when its slices are extracted.
    workers
        Threads; default one a core.
    releases
        What to look for; add a :class:`~lrpbook_lib.data.cases.readers.Reader` of your
        own for a layout of your own.

    Returns
    -------
    CaseList
        The sound cases, sorted by release and id.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        kind = NotADirectoryError if root.is_file() else FileNotFoundError
        what = "is a file" if root.is_file() else "does not exist"
        raise kind(f"{root} {what}: name a folder of cases (unpack archives first)")
    walk = _walk(root, releases)
    order = [release.name for release in releases]
    if not walk.cases:
        advice = "name the folder that holds the case folders, unpack archives first"
        for folder in walk.dicom:
            advice = f"{folder} holds DICOM files: {CONVERT}"
        raise ValueError(
            f"no case of a known release below {root} (looked for {', '.join(order)}); "
            f"{advice}"
        )
    beside = [p for p in (root.parent, root.parent / "tables") if p.is_dir()]
    records, broken = read_records(
        [*walk.tables, *table_files([*beside, *tables])],
        (table for release in releases for table in release.tables),
    )
    wanted = None if require is None else tuple(require)
    found = list(walk.cases.values())
    found.sort(key=lambda one: (order.index(one.reader.name), one.id))
    results = Parallel(n_jobs=workers or usable_cores(), prefer="threads")(
        delayed(_settle)(one, walk.strays, records, root, wanted, thorough)
        for one in found
    )
    problems = [
        Problem(path.name, "table", "unreadable table", f"{path}: {why}", False)
        for path, why in broken.items()
    ]
    for folder, count in walk.dicom.items():
        detail = f"{folder} holds {count} DICOM files: {CONVERT}"
        problems.append(Problem(folder.name, "DICOM", "DICOM", detail))
    problems += [trouble for _, troubles, _ in results for trouble in troubles]
    sound = [(case, marks) for case, _, marks in results if case is not None]
    cases, repeated = join_repeats(sound)
    return CaseList(cases, [*problems, *repeated])


def _walk(root: Path, releases: Sequence[Reader]) -> _Walk:
    walk = _Walk()
    for folder, inner, names in os.walk(root, followlinks=True):
        here = Path(folder)
        inner[:] = sorted(
            n for n in inner if not n.startswith(".") and not _leads_back(here / n)
        )
        for path in sorted(here / n for n in names if not n.startswith(".")):
            # The folder above the root belongs to the name: imagesTr/BRATS_001.
            relative = (Path(root.name) / path.relative_to(root)).as_posix()
            name = path.name.lower()
            if name.endswith(ENDINGS):
                walk.tables.append(path)
            elif not _recognize(walk, path, relative, releases):
                if name.endswith((".nii", ".nii.gz")) and "brain" not in name:
                    walk.strays.setdefault(here, []).append(path)
                elif path.suffix.lower() in _MAYBE_DICOM and is_dicom(path):
                    walk.dicom[here] = walk.dicom.get(here, 0) + 1
    return walk


def _leads_back(folder: Path) -> bool:
    """Whether a folder is a link to one that holds it: a walk would never end."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(
        folder.resolve()
    )


def _recognize(
    walk: _Walk, path: Path, relative: str, releases: Sequence[Reader]
) -> bool:
    """File a path under the case that it belongs to, if it is a release's."""
    for reader in releases:
        if match := re.search(reader.file, relative, re.IGNORECASE):
            break
    else:
        return False
    names = match.groupdict()
    one = walk.cases.setdefault(
        (reader.name, names["case"].upper()),
        _Found(reader, names["case"], names.get("site") or reader.site),
    )
    holds = reader.holds(names["token"] or "")
    for channel, rank in holds.items():
        one.files.setdefault(channel, set()).add((rank, reader.place(path)))
    # An unknown word may be the mask's; a brain mask is not the tumor's.
    name = path.name.lower()
    if not holds and "seg" in name and "brain" not in name:
        walk.strays.setdefault(path.parent, []).append(path)
    return True


def _settle(
    found: _Found,
    strays: dict[Path, list[Path]],
    records: dict[str, list[Record]],
    root: Path,
    require: tuple[str, ...] | None,
    thorough: bool,
) -> tuple[Case | None, list[Problem], set[str]]:
    """Make a case of its files, with the marks of their content, or tell why not."""
    reader, problems, marks = found.reader, [], set[str]()

    def problem(kind: str, detail: str, dropped: bool = True) -> None:
        problems.append(Problem(found.id, reader.name, kind, detail, dropped))

    paths: dict[str, Path] = {}
    for channel in (*reader.channels, MASK):
        ranked = sorted(found.files.get(channel, ()))
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
            paths[channel] = best[0]
    folder = next(iter(paths.values())) if paths else root
    if MASK not in paths and paths:
        # So it is with case 355 of BraTS 2020, for one.
        left = strays.get(folder.parent, []) if reader.own_folder else []
        paths |= {MASK: left[0]} if len(left) == 1 else {}

    patient = _first_group(reader.patient, found.id)
    said = records.get(key(found.id), [])
    said = [*said, *(r for r in records.get(key(patient), []) if r not in said)]
    facts, labels = _facts(reader, said, _label_of_folders(reader, folder, root))
    if len(labels) > 1:
        both = " and ".join(sorted(labels))
        problem(
            f"{reader.label} conflict",
            f"folder and tables name {both}; left as None",
            dropped=False,
        )
    case, troubles = reader.revise(
        Case(
            id=found.id,
            patient=next((r.patient for r in said if r.patient), patient),
            site=found.site or next((r.site for r in said if r.site), None),
            paths=paths,
            reader=reader,
            facts=facts,
        )
    )
    for trouble in troubles:
        problem(*trouble)
    if set(case.paths) == {MASK}:
        problem("mask without images", f"{case.paths[MASK]} is all there is of it")
        return None, problems, marks
    needed = (*reader.channels, MASK) if reader.needs is None else reader.needs
    for channel in needed if require is None else require:
        if channel not in case.paths:
            what = "missing mask" if channel == MASK else "missing sequence"
            problem(what, f"no {channel} file in {folder.parent}")
    if not any(p.dropped for p in problems):
        for kind, detail in check_case(case, thorough, marks):
            problem(kind, detail)
    lost = any(p.dropped for p in problems)
    return (None if lost else case), problems, marks


def _facts(
    reader: Reader, said: list[Record], told: str | None
) -> tuple[dict[str, Any], set[str]]:
    """What all sources together say, and every label that one of them names."""
    sources = [{reader.label: told} if told else {}, reader.facts]
    sources = [*sources, *(record.facts for record in said)]
    facts: dict[str, Any] = {}
    for source in sources:
        facts = {**source, **facts}  # the first to say it counts
    labels = {s[reader.label] for s in sources if reader.label in s}
    if len(labels) > 1:
        del facts[reader.label]
    return facts, labels


def _first_group(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.IGNORECASE)
    name = match[1] if match else text
    # The TCGA-LGG set writes TCGA_CS_4941 for TCGA-CS-4941.
    return name.replace("_", "-") if name.upper().startswith("TCGA_") else name


def _label_of_folders(reader: Reader, path: Path, root: Path) -> str | None:
    """Label named by the nearest folder, from the case up to the root's parent.

    Names above the root are the user's own, and say something only where they are
    a label and nothing else, or TCIA's own name of the collection.
    """
    for folder in path.parents if reader.folders else ():
        name = folder.name.upper()
        inside = folder.is_relative_to(root) or "_TCGA_" in name
        several = reader.inside_names and inside
        words = re.split(r"[^A-Z]+", name) if several else [name]
        named = {reader.folders[w] for w in words if w in reader.folders}
        if len(named) == 1:
            return named.pop()
        if not inside:
            return None
    return None
