"""Two slices side by side, and which of their parts make a network think them alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from lrpbook_lib.explore.slices import as_source, paint

#: Red speaks for the similarity and blue against it, as in the paper.
SIGN_COLORS = {1: "#B2182B", -1: "#2166AC"}


@dataclass(frozen=True)
class Link:
    """Two blocks and the pair relevance between them.

    Attributes
    ----------
    block, partner : (int, int)
        Row and column in the first and in the second image.
    value : float
    """

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
    links = []
    for place in order:
        row, column, other_row, other_column = map(
            int, np.unravel_index(place, between.shape)
        )
        value = float(between[row, column, other_row, other_column])
        if value != 0:
            links.append(Link((row, column), (other_row, other_column), value))
    return links


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
    fig, axis = plt.subplots(figsize=(7.4, 3.5))
    for i, (image, tumor) in enumerate(zip(images, tumors, strict=True)):
        left = i * shift
        extent = (left, left + width, height, 0)
        axis.imshow(paint(np.asarray(image), np.asarray(tumor)), extent=extent)
        axis.text(left + width / 2, -0.04 * height, titles[i], ha="center")
    links = strongest_links(between, count)
    strongest = max((abs(link.value) for link in links), default=1.0)
    size = height / between.shape[0], width / between.shape[1]
    for link in reversed(links):  # the strongest on top
        (y0, x0), (y1, x1) = (
            ((row + 0.5) * size[0], (column + 0.5) * size[1])
            for row, column in (link.block, link.partner)
        )
        strength = abs(link.value) / strongest
        middle = (x0 + x1 + shift) / 2
        points = [(x0, y0), (middle, y0), (middle, y1), (x1 + shift, y1)]
        curve = Path(points, [Path.MOVETO, *[Path.CURVE4] * 3])
        axis.add_patch(
            PathPatch(
                curve,
                fill=False,
                color=SIGN_COLORS[1 if link.value > 0 else -1],
                linewidth=0.5 + 2 * strength,
                alpha=0.25 + 0.75 * strength,
            )
        )
    axis.set(xlim=(0, shift + width), ylim=(height, -0.1 * height), aspect="equal")
    axis.axis("off")
    share = sum(abs(link.value) for link in links) / max(np.abs(between).sum(), 1e-12)
    names = {1: "makes them alike", -1: "makes them unlike"}
    handles = [Line2D([], [], color=c, label=names[s]) for s, c in SIGN_COLORS.items()]
    fig.legend(
        handles=handles,
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
    top = np.abs(matrix).max() or 1.0
    # At rest each block shows all that it shares with the whole other image.
    at_rest = [matrix.sum(axis).reshape(b, b) for axis in (1, 0)]
    fig = go.Figure()
    clear = [[0, SIGN_COLORS[-1]], [0.5, "rgba(255,255,255,0)"], [1, SIGN_COLORS[1]]]
    size = height / b, width / b
    shift = 1.12 * width
    for i, rest in enumerate(at_rest):
        rest = rest / (np.abs(rest).max() or 1.0)
        fig.add_trace(
            go.Heatmap(
                z=np.round(rest, 3).tolist(),
                x=((np.arange(b) + 0.5) * size[1] + i * shift).tolist(),
                y=((np.arange(b) + 0.5) * size[0]).tolist(),
                zmin=-1,
                zmax=1,
                colorscale=clear,
                opacity=0.75,
                showscale=False,  # on a phone it would take a third of the width
                hovertemplate=f"{titles[i]}<extra></extra>",
            )
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
        text="red: alike, blue: unlike",
        x=0.5,
        y=0,
        xref="paper",
        yref="paper",
        yanchor="top",
        yshift=-8,
        showarrow=False,
    )
    hidden = {"visible": False, "fixedrange": True}
    fig.update_layout(
        title=title,
        height=400,
        margin={"l": 10, "r": 10, "b": 40, "t": 80},
        plot_bgcolor="rgba(0,0,0,0)",
        xaxis={**hidden, "range": [0, shift + width], "constrain": "domain"},
        yaxis={**hidden, "range": [height, 0], "scaleanchor": "x"},
        meta={
            "alt": f"{title}. {titles[0]} and {titles[1]} side by side, each under a "
            f"grid of {b} by {b} blocks; pointing at a block lights up the blocks of "
            "the other slice that make the two alike, in red, or unlike, in blue.",
            "between": np.round(1000 * matrix / top).astype(int).tolist(),
        },
    )
    return fig
