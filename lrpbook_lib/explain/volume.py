"""One volume through a model: its answer, and a heatmap in the volume's own grid."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor

from lrpbook_lib.attribution import chance_level, explainer, tumor_lrp_score
from lrpbook_lib.data import Case, VolumeSettings
from lrpbook_lib.data.cases.case import MASK
from lrpbook_lib.data.heads.volumes import SCALES, back_to_image, volume_of
from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.palette import OUTLINE, RELEVANCE
from lrpbook_lib.files import write_json
from lrpbook_lib.training import TrainedModel

from .write import WARNING, target_of, write_heatmap


@dataclass(frozen=True)
class ExplainedVolume:
    """What a model says of a volume, and where it looks.

    Attributes
    ----------
    case, model, settings
    affine
        Of the image, axes to the right, front and up.
    brain
        ``(X, Y, Z)`` bool, on the model's grid: the mask, or the head where none is.
    masked
        Whether there is a mask.
    logits
        ``(classes,)``.
    target
        The class that is explained.
    relevance
        ``(X, Y, Z)`` on the model's grid.
    """

    case: Case
    model: TrainedModel
    settings: VolumeSettings
    affine: np.ndarray
    brain: np.ndarray
    masked: bool
    logits: np.ndarray
    target: int
    relevance: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """``(classes,)``."""
        return torch.from_numpy(self.logits).softmax(0).numpy()

    def heatmap(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Relevance in the image's own grid, ``(X, Y, Z)``, of the same sum."""
        return back_to_image(self.relevance, self.settings, self.affine, shape)

    def share_in_brain(self) -> tuple[float, float]:
        """Share of positive relevance inside the mask, and by chance."""
        heat = torch.from_numpy(self.relevance)[None, None]
        inside = torch.from_numpy(self.brain)[None]
        everywhere = torch.ones_like(inside)
        found = tumor_lrp_score(heat, inside, everywhere)
        return float(found[0]), float(chance_level(inside, everywhere)[0])


def takes_volumes(model: TrainedModel) -> bool:
    """Whether a model wants volumes, and not slices."""
    return len(model.spec.shape) == 3


def volume_settings(model: TrainedModel) -> VolumeSettings:
    """How to make the volume that a model wants to see, if all of it is told."""
    spec = model.spec
    fails = {
        "one channel": len(spec.channels) != 1,
        "spacing": spec.spacing is None,
        "space": spec.space is None,
        "normalization": spec.normalization not in SCALES,
    }
    if wrong := [what for what, failed in fails.items() if failed]:
        raise ValueError(
            f"{model.name} cannot be shown a volume, for want of "
            f"{' and '.join(wrong)}: tell them as in its training, with --spec: a "
            "file with channels, spacing (mm), space and normalization "
            f"({', '.join(SCALES)})"
        )
    assert spec.spacing is not None
    x, y, z = spec.shape
    return VolumeSettings(
        spec.channels[0],
        str(spec.normalization),
        spec.spacing,
        (x, y, z),
        spec.space == "native",
    )


@torch.no_grad()
def explain_volume(
    case: Case, model: TrainedModel, target: str | None = None
) -> ExplainedVolume:
    """Explain the volume of a case.

    Parameters
    ----------
    case
        From :func:`~lrpbook_lib.data.find_heads`, or from
        :func:`~lrpbook_lib.data.own_case` with a brain mask for its mask.
    model
        From :func:`~lrpbook_lib.training.read_model`.
    target
        Name of the class to explain; default the predicted one. LRP that starts from
        the softmax, as Graz+ does, is the same for all.
    """
    spec, settings = model.spec, volume_settings(model)
    if target is not None and target not in spec.classes:
        known = ", ".join(spec.classes)
        raise ValueError(f"target={target!r}: the model {model.name} knows {known}")
    if MASK in case.paths:  # of one's own: the only mask there can be is the brain's
        paths = {n: p for n, p in case.paths.items() if n != MASK}
        case = replace(case, paths={**paths, "brain": case.paths[MASK]})
    arrays = volume_of(case, settings, need_brain=False)
    x = torch.from_numpy(arrays["images"])
    if not bool(x.any()):
        raise ValueError(
            f"{case.paths[settings.channel]}: nothing of it lies where the model "
            f"looks, in {spec.space} space; register it first, or look at its affine"
        )
    logits = model.network(x)[0]
    chosen = int(logits.argmax()) if target is None else spec.classes.index(target)
    start: Any = model.start
    explain = explainer(model.network, model.composite, start=start).eval()
    relevance: Tensor = explain(x, chosen)[1][0].sum(0)
    return ExplainedVolume(
        case,
        model,
        settings,
        case.open()(settings.channel)[1],
        arrays["brain"][0],
        "brain" in case.paths,
        logits.numpy(),
        chosen,
        relevance.numpy(),
    )


def write_volume(found: ExplainedVolume, folder: Path, key: str = "") -> None:
    """Write ``heatmap.nii.gz``, ``overlay.png`` and, last, ``score.json``."""
    write_heatmap(found, folder)
    write_planes(found, folder)
    write_json(folder / "score.json", {"key": key, **facts_of_volume(found)})


def write_planes(found: ExplainedVolume, folder: Path) -> None:
    """``overlay.png``: three planes through the most relevant voxel."""
    image, affine = found.case.open()(found.settings.channel)
    heat = found.heatmap(image.shape)  # type: ignore[arg-type]
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    peak = np.unravel_index(np.abs(heat).argmax(), heat.shape)
    limit = np.quantile(np.abs(heat[heat != 0]), 0.995) if heat.any() else 1.0
    top = np.quantile(image[image > 0], 0.99) if (image > 0).any() else 1.0
    rows: tuple[list[Panel], list[Panel]] = ([], [])
    for axis, name in enumerate(("sagittal", "coronal", "axial")):
        x, r = (np.take(v, peak[axis], axis).T[::-1] for v in (image, heat))
        across, up = (edges[i] for i in range(3) if i != axis)
        none = {OUTLINE: np.zeros(x.shape, bool)}
        rows[0].append(Panel(x, None, none, name, (0, top), None, up / across))
        rows[1].append(Panel(x, r, none, "", (0, top), limit, up / across))
    label = (found.settings.channel, f"relevance for {target_of(found)}")
    fig = panels(rows, label, 2.4)
    fig.set_layout_engine("constrained")
    p = found.probabilities[found.target]
    fig.suptitle(
        f"{found.case.id}: p({target_of(found)}) = {p:.2f}. {WARNING}", fontsize=9
    )
    scale = ScalarMappable(Normalize(-limit, limit), RELEVANCE)
    bar = fig.colorbar(scale, ax=fig.axes, shrink=0.4, pad=0.01)
    bar.set_ticks([-limit, 0, limit], labels=["against", "0", "for"])
    about = {"Description": WARNING}
    fig.savefig(folder / "overlay.png", dpi=110, bbox_inches="tight", metadata=about)


def facts_of_volume(found: ExplainedVolume) -> dict[str, Any]:
    """What the model says of a volume and where it looks."""
    classes, p = found.model.spec.classes, found.probabilities
    share, chance = found.share_in_brain() if found.masked else (None, None)
    return {
        "note": WARNING,
        "case": found.case.id,
        "explained_class": target_of(found),
        "model": found.model.facts(),
        "inputs": {name: path.name for name, path in found.case.paths.items()},
        "overall": {
            "what": "the whole volume",
            "logits": _named(found.logits, classes),
            "probabilities": _named(p, classes),
            "predicted": classes[int(p.argmax())],
            "relevance": round(float(found.relevance.sum()), 6),
            "share_in_brain": share and round(share, 6),
            "chance": chance and round(chance, 6),
        },
        "versions": {
            "python": platform.python_version(),
            **{n: version(n) for n in ("lrpbook-lib", "torch", "numpy", "nibabel")},
        },
    }


def _named(values: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    return {n: round(float(v), 6) for n, v in zip(names, values, strict=True)}
