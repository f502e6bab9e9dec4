"""The one way in which an image, its heatmap and the outlines over it are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from lrpbook_lib.explore.levels import gray_levels, plain, strengths
from lrpbook_lib.explore.palette import OUTLINE, RELEVANCE, outlines


@dataclass(frozen=True)
class Panel:
    """A picture: an image, relevance over it, and regions in outline.

    Attributes
    ----------
    image : array or Tensor of shape (H, W), optional
    heat : array or Tensor of shape (H, W), optional
        Relevance: orange for, blue against.
    regions : mapping of str to array of shape (H, W)
        Color of an outline to what it surrounds.
    title : str
    span : (float, float), optional
        What is black and what is white; default the image's own range.
    limit : float, optional
        Relevance of the strongest color; default the map's own.
    aspect : float
        Height of a pixel in widths.
    """

    image: Any = None
    heat: Any = None
    regions: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    span: tuple[float, float] | None = None
    limit: float | None = None
    aspect: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        layers = (self.image, self.heat, *self.regions.values())
        return next(tuple(each.shape) for each in layers if each is not None)


def draw(axis: Any, panel: Panel) -> None:
    """Draw a panel into a matplotlib axis."""
    flat = {"interpolation": "nearest", "aspect": panel.aspect}
    if panel.image is not None:
        gray = gray_levels(plain(panel.image), panel.span)
        # Under relevance the image steps back.
        white = 255 if panel.heat is None else 380
        axis.imshow(gray, cmap="gray", vmin=0, vmax=white, **flat)
    if panel.heat is not None:
        heat = strengths(plain(panel.heat), panel.limit)
        alpha = 0.9 * np.abs(heat) ** 0.75  # weak relevance stays visible
        axis.imshow(heat, cmap=RELEVANCE, vmin=-1, vmax=1, alpha=alpha, **flat)
    for color, region in panel.regions.items():
        inside = plain(region).astype(float)
        if inside.any():
            edge = axis.contour(inside, [0.5], colors=color, linewidths=1)
            if panel.image is not None:  # a dark rim keeps it readable on white
                edge.set(path_effects=[withStroke(linewidth=2, foreground="#333333")])
    axis.set(xticks=[], yticks=[], aspect=panel.aspect)
    axis.set_title(panel.title, fontsize=10)
    axis.spines[:].set_visible(False)


def panels(
    rows: Sequence[Sequence[Panel]], names: Sequence[str] = (), width: float = 2.0
) -> Figure:
    """A figure of panels.

    Parameters
    ----------
    rows
        Panels from left to right, row by row; the last row may be shorter.
    names
        At the left of the rows.
    width
        Inches a panel.
    """
    columns = max(len(row) for row in rows)
    heights = [
        max(p.aspect * p.shape[0] / p.shape[1] for p in row)
        + 0.15 * any(p.title for p in row)
        for row in rows
    ]
    fig = Figure(figsize=(width * columns, width * sum(heights)))
    axes = fig.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for line, row in zip(axes, rows, strict=True):
        for axis, panel in zip(line, row, strict=False):
            draw(axis, panel)
        for axis in line[len(row) :]:
            axis.set_axis_off()
    for axis, name in zip(axes[:, 0], names, strict=False):
        axis.set_ylabel(name, fontsize=10)
    fig.tight_layout(pad=0.3)
    return fig


def heatmap_panels(
    image: Any, maps: Mapping[str, Any], mask: Any = None, columns: int = 4
) -> Figure:
    """An image and, beside it, its heatmaps, each on its own scale.

    Parameters
    ----------
    image : array or Tensor of shape (H, W)
    maps : mapping of str to array or Tensor of shape (H, W)
        Relevance by title.
    mask : array or Tensor of shape (H, W), optional
        A region to outline in every panel.
    columns : int
        Panels in a row.
    """
    edge = {} if mask is None else {OUTLINE: plain(mask) > 0}
    row = [Panel(image, None, edge, "image")]
    row += [Panel(image, heat, edge, title) for title, heat in maps.items()]
    starts = range(0, len(row), columns)
    return panels([row[start : start + columns] for start in starts])


def before_after(
    images: np.ndarray,
    tumor: np.ndarray,
    maps: Mapping[str, np.ndarray],
    titles: Sequence[str] = (),
) -> Figure:
    """Slices in columns; the image and the heatmap of each model in rows.

    Parameters
    ----------
    images : ndarray of shape (n, H, W)
    tumor : ndarray of shape (n, H, W)
        Outlined in every panel.
    maps : mapping of str to ndarray of shape (n, H, W)
        Relevance by model, each slice on its own scale.
    titles : sequence of str
        A word above each slice.
    """
    edges = [{OUTLINE: plain(each) > 0} for each in tumor]
    words = [*titles, *[""] * (len(edges) - len(titles))]
    first = zip(images, edges, words, strict=True)
    rows = [[Panel(image, None, edge, word) for image, edge, word in first]]
    for heats in maps.values():
        row = zip(images, heats, edges, strict=True)
        rows.append([Panel(image, heat, edge) for image, heat, edge in row])
    return panels(rows, ["image", *maps], 1.7)


def slice_panels(
    images: Sequence[np.ndarray], labels: Sequence[np.ndarray], titles: Sequence[str]
) -> Figure:
    """Slices side by side with their regions outlined.

    Parameters
    ----------
    images, labels
        ``(H, W)`` each; images in [0, 1].
    titles
        Over each.
    """
    given = zip(images, labels, titles, strict=True)
    row = [Panel(x, None, outlines(y), title, (0, 1)) for x, y, title in given]
    return panels([row], width=2.4)
