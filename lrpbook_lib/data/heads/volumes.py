"""From heads on disk to a set of volumes on disk, without holding them in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import delayed
from scipy import ndimage

from lrpbook_lib.data.cases.case import Case, Problem
from lrpbook_lib.data.cases.checking import check_voxels
from lrpbook_lib.data.cases.volumes import brain_mask
from lrpbook_lib.data.heads.head import FIELD, MIDDLE
from lrpbook_lib.data.heads.template import AFFECTED, REGIONS
from lrpbook_lib.data.phantom.anatomy import sample
from lrpbook_lib.files import (
    digest,
    in_processes,
    only_one,
    remove,
    usable_cores,
    whole_or_absent,
)
from lrpbook_lib.places import cache_home

if TYPE_CHECKING:
    from lrpbook_lib.data.samples import SliceSet

#: Raised by hand when the same settings would give other volumes.
VERSION = 1
#: How intensities are scaled: by the head's own brightness; ``brain`` sets everything
#: outside the brain mask to zero after that.
SCALES = ("head", "brain")


@dataclass(frozen=True)
class VolumeSettings:
    """What a volume depends on, besides its files.

    Attributes
    ----------
    channel
        ``t1``, or ``gray`` or ``white`` for tissue maps.
    normalization : {"head", "brain"}
        ``head``: divided by the 90th percentile of the head's intensities, up to 2.
        ``brain``: likewise, and zero outside the brain mask ("masked input").
    spacing
        Edge of the cubic voxels, mm.
    shape
        Voxels along each axis; default what holds a head.
    centered
        Whether the grid lies in the middle of each image, as for heads that are not
        registered, or at one place of MNI space.
    """

    channel: str = "t1"
    normalization: str = "head"
    spacing: float = 4.0
    shape: tuple[int, int, int] | None = None
    centered: bool = True

    def __post_init__(self) -> None:
        if self.normalization not in SCALES:
            raise ValueError(
                f"normalization={self.normalization!r} is unknown for volumes; it is "
                f"one of {', '.join(SCALES)}"
            )
        if not self.spacing > 0:
            raise ValueError(f"spacing={self.spacing} mm: give a positive number")

    @property
    def edges(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        x, y, z = self.shape or (round(mm / self.spacing) for mm in FIELD)
        return x, y, z

    def affine(self) -> np.ndarray:
        """``(4, 4)``: voxels to mm; of MNI space, or around the middle of an image."""
        affine = np.diag([*[self.spacing] * 3, 1.0])
        middle = np.zeros(3) if self.centered else MIDDLE
        affine[:3, 3] = middle - (np.array(self.edges) - 1) / 2 * self.spacing
        return affine

    def positions(self, affine: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Where its voxels lie in an image, in the image's voxels: ``(3, X, Y, Z)``."""
        mine = self.affine()
        if self.centered:
            center = affine @ np.array([*(np.array(shape) - 1) / 2, 1.0])
            mine[:3, 3] += center[:3]
        into = np.linalg.inv(affine) @ mine
        places = np.stack(np.meshgrid(*map(np.arange, self.edges), indexing="ij"))
        at = np.tensordot(into[:3, :3], places, 1) + into[:3, 3][:, None, None, None]
        # Whole numbers where the grids agree: nothing is interpolated then.
        near = np.rint(at)
        return np.where(np.abs(at - near) < 1e-3, near, at).astype("f4")


def volume_of(
    case: Case, settings: VolumeSettings, need_brain: bool = True
) -> dict[str, Any]:
    """The volume of one case, as a network sees it.

    Parameters
    ----------
    need_brain
        Whether a missing brain mask is an error; otherwise the head stands for it,
        unless the input is to be masked.

    Returns
    -------
    dict
        ``images`` (1, 1, X, Y, Z) float32, ``tumor`` (1, X, Y, Z) uint8 with 1 and 2
        where the synthetic disease acts (zeros where no region map is), ``brain``
        (1, X, Y, Z) bool, ``labels`` and ``z`` (1,) int64.
    """
    read = case.open()
    image, affine = read(settings.channel)
    if troubles := check_voxels(settings.channel, case.paths[settings.channel], image):
        raise ValueError(troubles[0][1])
    masked = settings.normalization == "brain"
    if "brain" in case.paths:
        brain = read("brain")[0] > 0
        if not brain.any():
            raise ValueError(f"{case.paths['brain']} marks no brain: it is zero")
    elif settings.channel != "t1":
        brain = image > 0  # a tissue map is its own mask
    elif need_brain or masked:
        raise ValueError(
            f"{case.id} has no brain mask beside {case.paths['t1']}: make one with a "
            f"skull-stripping program and name it {case.id}_desc-brain_mask.nii.gz"
        )
    else:
        brain = brain_mask([image], stripped=False)
    if brain.shape != image.shape:
        raise ValueError(
            f"{case.paths['brain']} has shape {brain.shape}, "
            f"{case.paths[settings.channel]} has {image.shape}"
        )
    at = settings.positions(affine, image.shape)
    shown = scaled(image, settings)
    inside = resampled(brain.astype("f4"), at, settings.spacing, affine) > 0.5
    shown = resampled(shown, at, settings.spacing, affine)
    regions = (
        regions_at(case, at) if "regions" in case.paths else np.zeros(at.shape[1:])
    )
    affected = np.zeros(at.shape[1:], dtype="u1")
    for value, name in enumerate(AFFECTED, 1):
        affected[regions == REGIONS.index(name)] = value
    classes = case.reader.classes
    label = classes.index(case.label) if case.label in classes else -1
    return {
        "images": (shown * inside if masked else shown)[None, None],
        "tumor": affected[None],
        "brain": inside[None],
        "labels": np.array([label]),
        "z": np.array([0]),
    }


def scaled(image: np.ndarray, settings: VolumeSettings) -> np.ndarray:
    """Intensities over the head's 90th percentile, from 0 to 2; maps as they are."""
    if settings.channel != "t1":
        return image.astype("f4")
    head = brain_mask([image], stripped=False)
    unit = max(float(np.quantile(image[head][::7], 0.9)), 1e-6)
    return np.clip(image.astype("f4") / unit, 0, 2)


def resampled(
    volume: np.ndarray, at: np.ndarray, spacing: float, affine: np.ndarray
) -> np.ndarray:
    """A volume at voxel positions, smoothed first where the new voxels are larger."""
    import torch

    own = np.linalg.norm(affine[:3, :3], axis=0)
    wide = np.sqrt(np.maximum((spacing / own) ** 2 - 1, 0)) * 0.42
    if (wide > 0.1).any():
        volume = ndimage.gaussian_filter(volume, wide, truncate=2.5)
    return sample(torch.from_numpy(np.ascontiguousarray(volume, "f4"))[None], at)[0]


def back_to_image(
    relevance: np.ndarray,
    settings: VolumeSettings,
    affine: np.ndarray,
    shape: Sequence[int],
) -> np.ndarray:
    """A map of a volume, laid over the image that the volume was made from.

    The way back of what :func:`volume_of` does: interpolated between the voxels of the
    map, and scaled so that the sum of what is not zero stays what it is.

    Parameters
    ----------
    relevance
        ``(X, Y, Z)`` on the volume's grid.
    affine, shape
        Of the image, axes to the right, front and up.
    """
    import torch

    mine = settings.affine()
    if settings.centered:
        mine[:3, 3] += (affine @ np.array([*(np.array(shape) - 1) / 2, 1.0]))[:3]
    into = np.linalg.inv(mine) @ affine
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype("f4")
    at = np.tensordot(into[:3, :3].astype("f4"), places, 1)
    at += into[:3, 3].astype("f4")[:, None, None, None]
    laid = sample(torch.from_numpy(relevance)[None], at)[0]
    whole, left = float(np.abs(relevance).sum()), float(np.abs(laid).sum())
    return laid * np.float32(whole / left) if left > 0 else laid


def regions_at(case: Case, at: np.ndarray) -> np.ndarray:
    """The region map of a case at voxel positions, ``(X, Y, Z)`` uint8."""
    import torch

    stored = torch.from_numpy(case.open()("regions")[0].astype("f4"))[None]
    return np.rint(sample(stored, at, mode="nearest")[0]).astype("u1")


def region_maps(cases: Sequence[Case], settings: VolumeSettings) -> np.ndarray:
    """The region maps of cases on the grid of their volumes, ``(N, X, Y, Z)`` uint8."""
    maps = np.zeros((len(cases), *settings.edges), dtype="u1")
    for row, case in enumerate(cases):
        stored, affine = case.open()("regions")
        maps[row] = regions_at(case, settings.positions(affine, stored.shape))
    return maps


def head_volumes(
    cases: Iterable[Case],
    *,
    channel: str = "t1",
    normalization: str = "head",
    spacing: float = 4.0,
    shape: tuple[int, int, int] | None = None,
    into: str | os.PathLike[str] | None = None,
    workers: int | None = None,
) -> SliceSet:
    """Collect the volumes of heads into one set on disk.

    The arrays are mapped from files: a training holds one batch of people in memory,
    however many there are. A case that turns out to be damaged is left out, and told by
    ``.report()``.

    Parameters
    ----------
    cases
        From :func:`find_heads`, all of one space.
    channel, normalization, spacing, shape
        See :class:`VolumeSettings`.
    into
        Folder for the set; default one in the cache, named by what it is made of.
    workers
        Processes; default one a core.

    Returns
    -------
    SliceSet
        Of volumes: axes run to the right, to the front and up.
    """
    from lrpbook_lib.data.samples import SliceSet, check_target

    cases = list(cases)
    if not cases:
        raise ValueError("no cases: find_heads gives them")
    spaces = {getattr(case.reader, "space", "native") for case in cases}
    if len(spaces) > 1:
        raise ValueError(f"cases lie in {' and '.join(sorted(spaces))} space: take one")
    space = spaces.pop()
    settings = VolumeSettings(channel, normalization, spacing, shape, space == "native")
    if lacking := [c.id for c in cases if channel not in c.paths]:
        raise ValueError(f"{len(lacking)} cases have no {channel}, {lacking[0]} first")
    key = digest([VERSION, asdict(settings), [_mark(case) for case in cases]])
    target = cache_home() / "slices" / f"heads-{key}"
    if into is not None:
        target = check_target(into)
    if into is not None or not target.is_dir():
        _collect(cases, settings, space, target, workers)
    return SliceSet.load(target)


def _mark(case: Case) -> list[Any]:
    """What names the content of a case: its files by size and time."""
    files = [
        (str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in case.paths.values()
    ]
    return [case.id, case.patient, case.site, case.label, files]


def _collect(
    cases: Sequence[Case],
    settings: VolumeSettings,
    space: str,
    target: Path,
    workers: int | None,
) -> None:
    from lrpbook_lib.data.samples import write_samples

    pieces = target.parent / f".{target.name}.pieces"
    with only_one(pieces):
        calls = (
            delayed(_write_piece)(case, settings, pieces / f"{row}.npz")
            for row, case in enumerate(cases)
        )
        jobs = workers or min(usable_cores(), max(1, len(cases) // 50))
        problems = [p for p in in_processes(calls, jobs, len(cases), "heads") if p]
        left = [r for r in range(len(cases)) if (pieces / f"{r}.npz").exists()]
        if not left:
            raise ValueError(
                f"none of {len(cases)} heads could be used; the first: "
                f"{problems[0].detail}"
            )

        def blocks(name: str) -> Iterator[np.ndarray]:
            for row in left:
                with np.load(pieces / f"{row}.npz") as arrays:
                    yield arrays[name]

        kept = [cases[row] for row in left]
        table = {
            "labels": np.concatenate(list(blocks("labels"))),
            "z": np.zeros(len(left), dtype=np.int64),
            "patient": np.array([case.patient for case in kept]),
            "site": np.array([case.site or "" for case in kept]),
            "case": np.array([case.id for case in kept]),
        }
        meta = {
            "sequences": (settings.channel,),
            "classes": kept[0].reader.classes,
            "settings": {**asdict(settings), "space": space},
            "problems": [asdict(problem) for problem in problems],
            "version": VERSION,
        }
        write_samples(target, (1, *settings.edges), blocks, table, meta)
    remove(pieces)


def _write_piece(case: Case, settings: VolumeSettings, piece: Path) -> Problem | None:
    try:
        arrays = volume_of(case, settings)
    except (ValueError, OSError) as error:
        return Problem(case.id, case.release, "unusable volume", str(error))
    with whole_or_absent(piece) as beside, beside.open("wb") as stream:
        np.savez(stream, **arrays)
    return None
