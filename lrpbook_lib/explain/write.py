"""What is written of an explained case: heatmap, overlay and scores."""

from __future__ import annotations

import gzip
import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from scipy import ndimage

from lrpbook_lib.data import Case
from lrpbook_lib.explain.one import Explained
from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.palette import OUTLINE, RELEVANCE
from lrpbook_lib.files import digest, file_digest, write_json
from lrpbook_lib.training import TrainedModel

WARNING = "For teaching and research. Not for clinical use."
#: Raised by hand when the same input would give other files.
VERSION = 3
_PANELS = 5


def job_key(case: Case, model: TrainedModel, target: str | None) -> str:
    """Names all that the written files follow from."""
    files = {name: file_digest(path) for name, path in case.paths.items()}
    return digest([VERSION, case.id, case.release, files, model.facts(), target])


def write_heatmap(found: Any, folder: Path) -> None:
    """``heatmap.nii.gz``: float32 on exactly the grid of the first image.

    The header is the image's own, its codes included; what would tell of the image's
    intensities, and what may tell of the patient, is left out.
    """
    path = found.case.paths[found.model.spec.channels[0]]
    image: Any = nib.load(path)
    shape = image.shape[:3]
    turns = nib.io_orientation(image.affine)
    right_front_up = tuple(int(shape[int(a)]) for a in turns[:, 0].argsort())
    heat = found.heatmap(right_front_up)  # type: ignore[arg-type]
    back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), turns)
    stored = nib.apply_orientation(heat, back).astype(np.float32)
    several = math.prod(image.shape[3:]) > 1  # a volume a sequence in one file
    header = image.header.copy()
    header.extensions.clear()
    header.set_data_dtype(np.float32)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    header["descrip"] = f"LRP relevance for {target_of(found)}; not for clinical use"[
        :79
    ]
    header["aux_file"], header["intent_name"] = b"", b""
    made = type(image)(stored.reshape(shape if several else image.shape), None, header)
    content = gzip.compress(made.to_bytes(), compresslevel=1, mtime=0)
    (folder / "heatmap.nii.gz").write_bytes(content)


def write_overlay(found: Explained, folder: Path) -> None:
    """``overlay.png``: some slices of the last image, with relevance below."""
    count = len(found.z)
    spread = np.linspace(0, count - 1, _PANELS + 2).round().astype(int)[1:-1]
    picked = spread if count > _PANELS else np.arange(count)
    sequence = found.model.spec.channels[-1]
    volume = found.case.open()
    image, affine = volume(sequence)
    heat = found.heatmap(image.shape)  # type: ignore[arg-type]
    has_mask = "seg" in found.case.paths
    seg = volume("seg")[0] if has_mask else np.zeros(image.shape)
    width, height, _ = nib.affines.voxel_sizes(affine)
    limit = np.quantile(np.abs(heat[heat != 0]), 0.995) if heat.any() else 1.0
    top = np.quantile(image[image > 0], 0.995) if (image > 0).any() else 1.0
    box, positions = _box(image), _positions(found)
    rows: tuple[list[Panel], list[Panel]] = ([], [])
    for i in picked:
        # From voxels that run right and front to rows from front to back.
        x, r, tumor = (
            v[*box, int(found.z[i])][::-1, ::-1].T for v in (image, heat, seg)
        )
        edge, score = {OUTLINE: tumor > 0}, found.scores[i]
        told = "" if np.isnan(score) else f"\nscore {score:.2f}"
        told += "" if np.isnan(score) else f", chance {found.chance[i]:.2f}"
        title, aspect = f"slice {positions[i]}{told}", height / width
        rows[0].append(Panel(x, None, edge, title, (0, top), None, aspect))
        rows[1].append(Panel(x, r, edge, "", (0, top), limit, aspect))
    fig = panels(rows, (sequence, f"relevance for {target_of(found)}"), 2.1)
    fig.set_layout_engine("constrained")
    p = found.probabilities.mean(0)[found.target]
    fig.suptitle(
        f"{found.case.id}: p({target_of(found)}) = {p:.2f}. {WARNING}", fontsize=9
    )
    scale = ScalarMappable(Normalize(-limit, limit), RELEVANCE)
    bar = fig.colorbar(scale, ax=fig.axes, shrink=0.4, pad=0.01)
    bar.set_ticks([-limit, 0, limit], labels=["against", "0", "for"])
    about = {"Description": WARNING}
    fig.savefig(folder / "overlay.png", dpi=110, bbox_inches="tight", metadata=about)


def _box(image: np.ndarray) -> tuple[slice, slice]:
    """The part of the axial plane that is not empty, with a margin."""
    rows, columns = ndimage.find_objects((image != 0).any(2).astype(int))[0]
    return (
        slice(max(rows.start - 4, 0), rows.stop + 4),
        slice(max(columns.start - 4, 0), columns.stop + 4),
    )


def facts_of(found: Explained) -> dict[str, Any]:
    """What the model says of a case and where it looks, by slice and overall."""
    classes, p = found.model.spec.classes, found.probabilities
    scores, chance = found.scores, found.chance
    by_sequence = np.abs(found.relevance).sum((0, 2, 3))
    slices = [
        {
            "slice": position,
            "logits": _named(found.logits[i], classes),
            "probabilities": _named(p[i], classes),
            "tumor_score": _number(scores[i]),
            "chance": _number(chance[i]),
        }
        for i, position in enumerate(_positions(found))
    ]
    marked = not np.isnan(scores).all()
    return {
        "note": WARNING,
        "case": found.case.id,
        "explained_class": target_of(found),
        "model": found.model.facts(),
        "inputs": {name: path.name for name, path in found.case.paths.items()},
        "skull_stripped": found.case.reader.stripped,
        "overall": {
            "what": "means over the slices",
            "slices": len(slices),
            "logits": _named(found.logits.mean(0), classes),
            "probabilities": _named(p.mean(0), classes),
            "predicted": classes[int(p.mean(0).argmax())],
            "tumor_score": _number(np.nanmean(scores)) if marked else None,
            "chance": _number(np.nanmean(chance)) if marked else None,
            "relevance_by_sequence": _named(
                by_sequence / max(by_sequence.sum(), 1e-12), found.model.spec.channels
            ),
        },
        "slice_axis": _up(found)[0],
        "by_slice": slices,
        "versions": {
            "python": platform.python_version(),
            **{n: version(n) for n in ("lrpbook-lib", "torch", "numpy", "nibabel")},
        },
    }


def target_of(found: Any) -> str:
    """Name of the class that is explained."""
    return found.model.spec.classes[found.target]


def _up(found: Explained) -> tuple[int, bool, int]:
    """The file's own axis that runs up or down, whether down, and its length."""
    image: Any = nib.load(found.case.paths[found.model.spec.channels[0]])
    turns = nib.io_orientation(image.affine)
    axis = int(np.flatnonzero(turns[:, 0] == 2)[0])
    return axis, bool(turns[axis, 1] < 0), int(image.shape[axis])


def _positions(found: Explained) -> list[int]:
    """Numbers of the slices as a viewer of the file counts them, from 0."""
    _, down, count = _up(found)
    return [count - 1 - int(z) if down else int(z) for z in found.z]


def _named(values: np.ndarray, names: tuple[str, ...]) -> dict[str, float | None]:
    return {n: _number(v) for n, v in zip(names, values, strict=True)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


#: An explorer shows as many slices of a case at most: each adds to the file.
EXPLORED = 24


def write_explorer(found: Explained, folder: Path) -> None:
    """``explorer.html``: slices, model and rules under the hand, in one file."""
    from lrpbook_lib.explore import HeatmapExplorer

    last, count = len(found.z) - 1, min(len(found.z), EXPLORED)
    some = np.linspace(0, last, count).round().astype(int)
    explorer = HeatmapExplorer(
        {"model": found.model.network},
        found.images[some],
        found.tumor[some].astype(np.uint8),
        found.brain[some],
        classes=found.model.spec.classes,
        title=f"{found.case.id} (not for clinical use)",
    )
    explorer.export(folder / "explorer.html")


def write_explained(
    found: Explained, folder: Path, key: str = "", explorer: bool = False
) -> None:
    """Write everything of a case into a folder that exists.

    ``score.json`` comes last, since it marks a case as done.
    """
    write_heatmap(found, folder)
    write_overlay(found, folder)
    if explorer:
        write_explorer(found, folder)
    write_json(folder / "score.json", {"key": key, **facts_of(found)})
