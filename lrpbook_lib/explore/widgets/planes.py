"""Volumes in three planes, with relevance over them; alive without a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.figures.planes import PLANES, fullest, pixel_aspect, plane
from lrpbook_lib.explore.levels import gray_levels, levels, of_levels
from lrpbook_lib.explore.palette import OUTLINE, regions
from lrpbook_lib.explore.widgets.given import arrays
from lrpbook_lib.explore.widgets.page import PageWidget, pack
from lrpbook_lib.explore.widgets.web import script, style


class VolumeExplorer(PageWidget):
    """Three planes through a point that the reader moves: click, drag, or arrow keys.

    Empty margins are cut off; a head of 2 mm voxels with relevance and labels then
    takes about half a megabyte.

    Parameters
    ----------
    volume : array of shape (X, Y, Z)
        Gray values; axes point to the patient's right or left, front, and up. As
        radiologists hang them, the side where X is small is on the right.
    relevance : array of shape (X, Y, Z), optional
    labels : array of shape (X, Y, Z), optional
        Tumor regions 1, 2, 4, outlined.
    spacing : sequence of three float
        Voxel edges in millimeters.
    title : str

    Examples
    --------
    >>> VolumeExplorer(flair, labels=seg, spacing=(2, 2, 2))
    """

    _esm = script("planes")
    _css = style("planes")
    gray = traitlets.Bytes().tag(sync=True)
    heat = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)

    def __init__(
        self,
        volume: Any,
        relevance: Any = None,
        labels: Any = None,
        spacing: Sequence[float] = (1, 1, 1),
        *,
        title: str = "Three planes (synthetic patient)",
    ) -> None:
        layers = {"volume": volume, "relevance": relevance, "labels": labels}
        layers = {name: each for name, each in layers.items() if each is not None}
        found = arrays({name: (each, "X, Y, Z") for name, each in layers.items()})
        if len(spacing) != 3 or min(spacing) <= 0:
            raise ValueError(f"spacing is {tuple(spacing)}; it must be three lengths")
        box = _filled(found)
        cut = {name: each[box] for name, each in zip(layers, found, strict=True)}
        shape = cut["volume"].shape
        # One scale for all planes: to the levels, a volume is one flat picture.
        flat = {name: each.reshape(1, -1) for name, each in cut.items()}
        self._shown = {"gray": gray_levels(flat["volume"].astype(np.float32))}
        if "relevance" in cut:
            self._shown["heat"] = levels(flat["relevance"])
        if "labels" in cut:
            self._shown["labels"] = flat["labels"].astype(np.uint8)
        self._shown = {name: each.reshape(shape) for name, each in self._shown.items()}
        tumor = cut.get("labels", np.zeros(shape)) > 0
        if tumor.any():
            self._start = fullest(tumor)
        elif "relevance" in cut:
            self._start = fullest(np.abs(cut["relevance"]))
        else:
            self._start = [edge // 2 for edge in shape]
        super().__init__(
            about={
                "title": title,
                "note": "Seen as radiologists do: the patient's left is on the right. "
                "Not for clinical use.",
                "shape": list(shape),
                "spacing": [float(edge) for edge in spacing],
                "start": self._start,
                "offset": [edge.start for edge in box],
                "regions": regions(cut["labels"]) if "labels" in cut else [],
            },
            **{name: pack(each) for name, each in self._shown.items()},
        )

    def alt(self) -> str:
        """What is shown, and where it starts."""
        words = {"heat": "relevance", "labels": "the tumor's regions"}
        shown = " and ".join(words[name] for name in words if name in self._shown)
        return (
            f"{self.about['title']}. Axial, coronal and sagittal plane"
            f"{' with ' * bool(shown)}{shown} through one point, which a click or the "
            "arrow keys move."
        )

    def figure(self) -> Figure:
        """The three planes through the starting point."""
        row = []
        for name in PLANES:
            cut = {k: plane(v, name, self._start) for k, v in self._shown.items()}
            heat = of_levels(cut["heat"]) if "heat" in cut else None
            edge = {OUTLINE: cut["labels"] > 0} if "labels" in cut else {}
            aspect = pixel_aspect(name, self.about["spacing"])
            row.append(Panel(cut["gray"], heat, edge, "", (0, 255), 1, aspect))
        return panels([row], width=2.5)


def _filled(volumes: Sequence[np.ndarray], margin: int = 2) -> tuple[slice, ...]:
    """The box that holds all that differs from each array's background."""
    first, *others = volumes
    filled = np.any([first > first.min(), *(each != 0 for each in others)], axis=0)
    if not filled.any():
        return tuple(slice(0, edge) for edge in first.shape)
    return tuple(
        slice(max(0, int(at.min()) - margin), min(edge, int(at.max()) + 1 + margin))
        for at, edge in zip(np.nonzero(filled), first.shape, strict=True)
    )
