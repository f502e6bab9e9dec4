"""Cuts through a head, hung as radiologists do: the patient's left is on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.palette import OUTLINE, REGION_NAMES, REGIONS, outlines

#: Each plane by the axis that it cuts.
PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}


def hung(cut: np.ndarray) -> np.ndarray:
    """A cut ``(right or front, front or up)`` as a picture, its first row the top."""
    return cut[::-1, ::-1].T


def fullest(size: np.ndarray) -> list[int]:
    """Along each axis of a volume, the cut that holds most.

    The mean position would lie outside a crescent.
    """
    others = [tuple(a for a in range(3) if a != axis) for axis in range(3)]
    return [int(size.sum(axes).argmax()) for axes in others]


def plane(volume: np.ndarray, name: str, at: Sequence[int]) -> np.ndarray:
    """The picture of one of the ``PLANES`` through a voxel."""
    return hung(volume.take(at[PLANES[name]], PLANES[name]))


def pixel_aspect(name: str, spacing: Sequence[float]) -> float:
    """Height of a pixel of a plane in widths, for voxels of these edges."""
    right, up = (spacing[axis] for axis in range(3) if axis != PLANES[name])
    return up / right


def three_planes(
    volumes: Mapping[str, np.ndarray], names: Sequence[str], spacing: Sequence[float]
) -> Figure:
    """Axial, coronal and sagittal cuts through the middle of the tumor.

    Parameters
    ----------
    volumes
        ``(X, Y, Z)`` to the right, front and up; ``seg`` gives outline and middle.
    names
        Which to show, a column each.
    spacing
        Voxel edges, mm.
    """
    tumor = volumes["seg"] > 0
    at = fullest(tumor)
    top = {n: np.percentile(volumes[n][volumes[n] > 0], 99.5) for n in names}
    rows = [
        [
            Panel(
                plane(volumes[name], cut, at),
                regions={OUTLINE: plane(tumor, cut, at)},
                title=name if cut == "axial" else "",
                span=(volumes[name].min(), top[name]),
                aspect=pixel_aspect(cut, spacing),
            )
            for name in names
        ]
        for cut in PLANES
    ]
    return panels(rows, list(PLANES), 2.2)


def sequence_panels(
    slices: Mapping[str, np.ndarray], labels: np.ndarray | None = None
) -> Figure:
    """One axial slice in several sequences, side by side.

    Parameters
    ----------
    slices
        Name of the sequence to its slice (X, Y), x to the right, y to the front.
    labels
        Tumor sub-regions (X, Y) with BraTS values 1, 2, 4, drawn as outlines on a
        second row of the same slices.
    """
    rows = [[Panel(hung(image), title=name) for name, image in slices.items()]]
    if labels is None:
        return panels(rows, width=2.3)
    edges = outlines(hung(labels))
    rows.append([Panel(panel.image, regions=edges) for panel in rows[0]])
    fig = panels(rows, width=2.3)
    handles = [
        Line2D([], [], color=color, linewidth=4, label=REGION_NAMES[value])
        for value, color in REGIONS.items()
    ]
    fig.legend(handles=handles, loc="upper center", ncol=3, frameon=False,
               bbox_to_anchor=(0.5, 0))  # fmt: skip
    return fig
