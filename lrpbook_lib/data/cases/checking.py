"""What may be wrong with cases: their files, their grids, and two of one patient."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from lrpbook_lib.data.cases.case import MASK, Case, Problem
from lrpbook_lib.data.cases.formats import Grid, UnreadableError, file_mark

Trouble = tuple[str, str]


def check_voxels(name: str, path: Path, data: np.ndarray) -> list[Trouble]:
    """What is wrong with the numbers of a volume: kind and detail, a pair each."""
    troubles = []
    if not data.any():
        kind = "empty mask" if name == MASK else "empty sequence"
        what = "marks no tumor" if name == MASK else f"({name}) is zero everywhere"
        troubles.append((kind, f"{path} {what}"))
    if data.dtype.kind == "f" and not np.isfinite(data).all():
        troubles.append(("NaN", f"{path} holds NaN or infinity"))
    return troubles


def check_case(
    case: Case, thorough: bool = False, marks: set[str] | None = None
) -> list[Trouble]:
    """What is wrong with the files of a case: kind and detail, a pair each.

    Parameters
    ----------
    thorough
        Read every volume to its end. Otherwise images whose headers tell enough are
        not read.
    marks
        Receives what names the content of the files, see :func:`join_repeats`.
    """
    troubles: list[Trouble] = []
    grids: dict[str, Grid] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    marks = set() if marks is None else marks
    volume = case.open()
    for name, path in case.paths.items():
        try:
            if grid := case.reader.grid(path, name):
                grids[name], shapes[name] = grid, grid.shape[:3]
            if name != MASK and (sample := case.reader.sample(path)):
                marks.add(file_mark(sample))
            if thorough or name == MASK or grid is None or not grid.whole:
                data, _ = volume(name)
                shapes[name] = data.shape
                if name == MASK:
                    marks.add(_voxel_mark(data))
                troubles += check_voxels(name, path, data)
        except (UnreadableError, FileNotFoundError) as error:
            troubles.append(("unreadable file", str(error)))
        except ValueError as error:
            kind = "unknown labels" if name == MASK else "unreadable file"
            troubles.append((kind, f"{path}: {error}"))
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        troubles.append(("wrong shape", f"volumes of {case.id} differ: {told}"))
    if not troubles:
        troubles = _check_grids(case, grids)
    return list(dict.fromkeys(troubles))  # a folder of slices is told once


def _check_grids(case: Case, grids: dict[str, Grid]) -> list[Trouble]:
    """What headers tell against laying arrays of one shape over each other.

    Voxels of different sizes cover different parts of the head. A mask saved without
    its header has other axes than its images, and would lie mirrored: silently, for
    its shape is right. Of other differences the releases' headers say nothing: at times
    they are lost, and the arrays fit all the same.
    """
    if not grids:
        return []
    name, first = next(iter(grids.items()))
    edges = {name: grid.spacing for name, grid in grids.items()}
    if not all(np.allclose(e, first.spacing, rtol=0.02) for e in edges.values()):
        told = ", ".join(f"{n} {e.round(2).tolist()} mm" for n, e in edges.items())
        return [("wrong spacing", f"voxels of {case.id} differ in size: {told}")]
    if _mask_turned(case, grids):
        return [
            (
                "mask turned",
                f"the axes of {case.paths[MASK]} are not those of the images, and it "
                "lies outside the brain: copy the header of an image to it",
            )
        ]
    near = 0.1 * float(first.spacing.min())
    return [
        (
            "wrong place",
            f"{case.paths[other]} lies elsewhere in space than {case.paths[name]} "
            "(their affines differ): resample it to the grid of the other",
        )
        for other, grid in grids.items()
        if case.reader.placed and not np.allclose(grid.affine, first.affine, atol=near)
    ]


def _mask_turned(case: Case, grids: dict[str, Grid]) -> bool:
    if MASK not in grids or not case.sequences:
        return False
    image = case.sequences[0]
    if grids[image].codes == grids[MASK].codes:
        return False
    stored = case.read([image])
    marked = stored[MASK] > 0
    return (marked & (stored[image] != 0)).sum() < 0.95 * marked.sum()


def _voxel_mark(volume: np.ndarray) -> str:
    """Names the voxels of a mask as they are read, whatever the header says."""
    voxels = np.ascontiguousarray(volume).tobytes()
    return hashlib.blake2b(voxels, digest_size=8).hexdigest()


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
    mine, theirs = one.open(), other.open()
    try:
        return bool(shared) and all(
            np.array_equal(mine(name)[0], theirs(name)[0]) for name in shared
        )
    except (ValueError, OSError):
        return False  # damage inside a file shows when its slices are extracted
