"""Volumes in three planes, with relevance over them; alive without a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.paper import overlay
from lrpbook_lib.explore.web import script, style
from lrpbook_lib.explore.widget import (
    PageWidget,
    as_array,
    check_same,
    levels,
    pack,
    regions,
)


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

    _esm = script("volume")
    _css = style("volume")
    about = traitlets.Dict().tag(sync=True)
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
        given = {"volume": volume, "relevance": relevance, "labels": labels}
        arrays = {
            name: as_array(array, name, "X, Y, Z")
            for name, array in given.items()
            if array is not None
        }
        check_same({name: array.shape for name, array in arrays.items()})
        if len(spacing) != 3 or min(spacing) <= 0:
            raise ValueError(f"spacing is {tuple(spacing)}; it must be three lengths")
        box = _filled(arrays)
        arrays = {name: array[box] for name, array in arrays.items()}
        gray = arrays["volume"].astype(np.float32)
        low, high = float(gray.min()), float(np.quantile(gray, 0.999))
        span = high - low if high > low else 1.0
        self._gray = np.rint(255 * np.clip((gray - low) / span, 0, 1)).astype(np.uint8)
        self._heat = self._labels = None
        if "relevance" in arrays:
            flat = arrays["relevance"].reshape(1, -1)  # one scale for all planes
            self._heat = levels(flat).reshape(gray.shape)
        if "labels" in arrays:
            self._labels = arrays["labels"].astype(np.uint8)
        self._start = self._where_most()
        note = "Seen as radiologists do: the patient's left is on the right."
        super().__init__(
            about={
                "title": title,
                "note": f"{note} Not for clinical use.",
                "shape": list(gray.shape),
                "spacing": [float(edge) for edge in spacing],
                "start": self._start,
                "offset": [edge.start for edge in box],
                "regions": [] if self._labels is None else regions(self._labels),
            },
            gray=pack(self._gray),
            heat=b"" if self._heat is None else pack(self._heat),
            labels=b"" if self._labels is None else pack(self._labels),
        )

    def _where_most(self) -> list[int]:
        """Along each axis the cut with most tumor, else relevance, else the middle."""
        if self._labels is not None and self._labels.any():
            size = (self._labels > 0).astype(float)
        elif self._heat is not None:
            size = np.abs(self._heat.astype(float) - 15)
        else:
            return [edge // 2 for edge in self._gray.shape]
        others = [tuple(a for a in range(3) if a != axis) for axis in range(3)]
        return [int(size.sum(axes).argmax()) for axes in others]

    def alt(self) -> str:
        """What is shown, and where it starts."""
        shown = ["relevance"] * (self._heat is not None)
        shown += ["the tumor's regions"] * (self._labels is not None)
        over = f" with {' and '.join(shown)}" if shown else ""
        return (
            f"{self.about['title']}. Axial, coronal and sagittal plane{over} through "
            "one point, which a click or the arrow keys move."
        )

    def figure(self) -> Figure:
        """The three planes through the starting point."""
        i, j, k = self._start
        cuts: tuple[Any, ...] = (
            np.s_[::-1, ::-1, k],
            np.s_[::-1, j, ::-1],
            np.s_[i, ::-1, ::-1],
        )
        fig = Figure(figsize=(7.5, 2.8))
        nothing = np.full(self._gray.shape, 15, np.uint8)
        heat = nothing if self._heat is None else self._heat
        mask = nothing * 0 if self._labels is None else self._labels
        for axis, cut in zip(fig.subplots(1, 3), cuts, strict=True):
            overlay(axis, self._gray[cut].T, heat[cut].T, mask[cut].T > 0)
        fig.tight_layout(pad=0.3)
        return fig


def _filled(arrays: dict[str, np.ndarray], margin: int = 2) -> tuple[slice, ...]:
    """The box that holds all that differs from each array's background."""
    volume = arrays["volume"]
    filled = volume > volume.min()
    for name in arrays.keys() - {"volume"}:
        filled |= arrays[name] != 0
    if not filled.any():
        return tuple(slice(0, edge) for edge in volume.shape)
    at = np.nonzero(filled)
    return tuple(
        slice(max(0, int(i.min()) - margin), min(edge, int(i.max()) + 1 + margin))
        for i, edge in zip(at, volume.shape, strict=True)
    )
