"""One patient under two names, found by what the files hold."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrpbook_lib.data.cases.case import Case, Problem
from lrpbook_lib.data.cases.volumes import read_sequence, slice_files

_SAMPLE = 1 << 16


def voxel_mark(volume: np.ndarray) -> str:
    """Names the voxels of a mask as they are read, whatever the header says."""
    voxels = np.ascontiguousarray(volume).tobytes()
    return hashlib.blake2b(voxels, digest_size=8).hexdigest()


def file_mark(path: Path) -> str:
    """What two files of the same content share, at the price of one short read.

    A gzip file ends with checksum and size of its content, however well it was
    packed; of another file the middle is looked at, of a folder its middle slice.
    """
    if path.is_dir():
        pages = slice_files(path)
        return file_mark(pages[len(pages) // 2][0]) if pages else ""
    size = path.stat().st_size
    packed = path.suffix.lower() == ".gz"
    with path.open("rb") as stream:
        stream.seek(max(size - 8, 0) if packed else max(size - _SAMPLE, 0) // 2)
        content = stream.read(8 if packed else _SAMPLE)
    if packed:
        return content.hex()
    return f"{size} {hashlib.blake2b(content, digest_size=8).hexdigest()}"


def join_repeats(
    found: Iterable[tuple[Case, set[str]]],
) -> tuple[list[Case], list[Problem]]:
    """Give cases that hold the same images the same patient, and tell of it.

    Slices of both then stay on one side of every split.

    Parameters
    ----------
    found
        Cases, each with its marks: cases that share one are compared voxel by voxel.
    """
    cases, problems = [], []
    first: dict[str, list[Case]] = {}
    for case, marks in found:
        alike = [other for mark in marks for other in first.get(mark, [])]
        for other in {c.id: c for c in alike if c.patient != case.patient}.values():
            if _same_images(case, other):
                detail = (
                    f"holds the same images as {other.id} ({other.release}): counted "
                    f"as one patient, {other.patient}"
                )
                told = Problem(case.id, case.release, "patient twice", detail, False)
                problems.append(told)
                case = replace(case, patient=other.patient)
                break
        cases.append(case)
        for mark in marks:
            first.setdefault(mark, []).append(case)
    return cases, problems


def _same_images(one: Case, other: Case) -> bool:
    shared = [name for name in one.sequences if name in other.paths]
    try:
        return bool(shared) and all(
            np.array_equal(read_sequence(one, n)[0], read_sequence(other, n)[0])
            for n in shared
        )
    except (ValueError, OSError):
        return False  # damage inside a file shows when its slices are extracted
