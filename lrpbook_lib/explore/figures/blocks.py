"""Two slices side by side, and which of their parts make a network think them alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from lrpbook_lib.explore.figures.alt import titled
from lrpbook_lib.explore.figures.pictures import as_source, paint
from lrpbook_lib.explore.palette import SIGNS, diverging


class Link(NamedTuple):
    """Two blocks, by row and column in either image, and the relevance of the pair."""

    block: tuple[int, int]
    partner: tuple[int, int]
    value: float


def strongest_links(between: np.ndarray, count: int = 24) -> list[Link]:
    """Links of largest absolute value, the strongest first.

    Parameters
    ----------
    between : ndarray of shape ``(b, b, b, b)``
        From :func:`~lrpbook_lib.similar.block_similarity`.
    count : int
        At most; links of no relevance are left out.
    """
    between = np.asarray(between)
    order = np.argsort(-np.abs(between), axis=None, kind="stable")[:count]
    places = np.stack(np.unravel_index(order, between.shape), 1).tolist()
    return [
        Link((row, column), (other_row, other_column), float(value))
        for (row, column, other_row, other_column), value in zip(
            places, between.ravel()[order], strict=True
        )
        if value != 0
    ]


def pair_figure(
    images: Sequence[np.ndarray],
    tumors: Sequence[np.ndarray],
    between: np.ndarray,
    titles: Sequence[str],
    count: int = 24,
) -> Figure:
    """Curves between the blocks of two slices that carry most of their similarity.

    Parameters
    ----------
    images : two ndarrays of shape (H, W)
        In [0, 1].
    tumors : two ndarrays of shape (H, W)
        Outlined.
    between : ndarray of shape ``(b, b, b, b)``
    titles : two str
    count : int
        Curves.
    """
    height, width = np.shape(images[0])
    shift = 1.6 * width
    fig = Figure(figsize=(7.4, 3.5))
    axis = fig.subplots()
    for i, (image, tumor) in enumerate(zip(images, tumors, strict=True)):
        left = i * shift
        extent = (left, left + width, height, 0)
        axis.imshow(paint(np.asarray(image), np.asarray(tumor)), extent=extent)
        axis.text(left + width / 2, -0.04 * height, titles[i], ha="center")
    links = strongest_links(between, count)
    size = np.array([width, height]) / between.shape[0]
    for link in reversed(links):  # the strongest on top
        strength = abs(link.value) / abs(links[0].value)
        x0, y0 = (np.array(link.block[::-1]) + 0.5) * size
        x1, y1 = (np.array(link.partner[::-1]) + 0.5) * size + (shift, 0)
        middle = (x0 + x1) / 2
        points = [(x0, y0), (middle, y0), (middle, y1), (x1, y1)]
        curve = PathPatch(
            Path(points, [Path.MOVETO, *[Path.CURVE4] * 3]),
            fill=False,
            color=SIGNS[1 if link.value > 0 else -1],
            linewidth=0.5 + 2 * strength,
            alpha=0.25 + 0.75 * strength,
        )
        axis.add_patch(curve)
    axis.set(xlim=(0, shift + width), ylim=(height, -0.1 * height), aspect="equal")
    axis.axis("off")
    share = sum(abs(link.value) for link in links) / max(np.abs(between).sum(), 1e-12)
    names = {1: "makes them alike", -1: "makes them unlike"}
    fig.legend(
        handles=[Line2D([], [], color=c, label=names[s]) for s, c in SIGNS.items()],
        loc="lower center",
        ncol=2,
        frameon=False,
        title=f"the {len(links)} strongest links, {share:.0%} of all",
    )
    fig.tight_layout(rect=(0, 0.16, 1, 1), pad=0.3)
    return fig


def pair_explorer(
    images: Sequence[np.ndarray],
    tumors: Sequence[np.ndarray],
    between: np.ndarray,
    titles: Sequence[str],
    title: str,
) -> go.Figure:
    """Two slices under grids of blocks: hovering over one lights up its partners.

    On a page of the book it works without a kernel: all links are in the figure's
    ``layout.meta.between`` (per mille of the strongest), and the page's script reads
    them. In a notebook, :class:`~lrpbook_lib.explore.NeighborBrowser` does the same.

    Parameters
    ----------
    images, tumors : two ndarrays of shape (H, W)
    between : ndarray of shape ``(b, b, b, b)``
    titles : two str
    title : str
    """
    height, width = np.shape(images[0])
    b = between.shape[0]
    matrix = np.asarray(between, dtype=float).reshape(b * b, b * b)
    centers = (np.arange(b) + 0.5) / b
    shift = 1.12 * width
    fig = go.Figure()
    for i in (0, 1):
        # At rest each block shows all that it shares with the whole other image.
        rest = matrix.sum(1 - i).reshape(b, b)
        fig.add_heatmap(
            z=np.round(rest / (np.abs(rest).max() or 1.0), 3).tolist(),
            x=(centers * width + i * shift).tolist(),
            y=(centers * height).tolist(),
            zmin=-1,
            zmax=1,
            colorscale=diverging("rgba(255,255,255,0)"),
            opacity=0.75,
            showscale=False,  # on a phone it would take a third of the width
            hovertemplate=f"{titles[i]}<extra></extra>",
        )
        fig.add_layout_image(
            source=as_source(paint(np.asarray(images[i]), np.asarray(tumors[i]))),
            xref="x",
            yref="y",
            x=i * shift,
            y=0,
            sizex=width,
            sizey=height,
            sizing="stretch",
            layer="below",
        )
        fig.add_annotation(
            x=i * shift + width / 2, y=0, text=titles[i], showarrow=False, yshift=12
        )
    fig.add_annotation(
        text="orange: alike, blue: unlike",
        x=0.5,
        y=0,
        xref="paper",
        yref="paper",
        yanchor="top",
        yshift=-8,
        showarrow=False,
    )
    hidden = {"visible": False, "fixedrange": True}
    titled(
        fig,
        title,
        f"{titles[0]} and {titles[1]} side by side, each under a grid of {b} by {b} "
        "blocks; pointing at a block lights up the blocks of the other slice that "
        "make the two alike, in orange, or unlike, in blue.",
        height=400,
        margin={"l": 10, "r": 10, "b": 40, "t": 80},
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={**hidden, "range": [0, shift + width], "constrain": "domain"},
        yaxis={**hidden, "range": [height, 0], "scaleanchor": "x"},
    )
    top = np.abs(matrix).max() or 1.0
    links = np.round(1000 * matrix / top).astype(int).tolist()
    return fig.update_layout(meta={**fig.layout.meta, "between": links})
