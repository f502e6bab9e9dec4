"""Slices as PNG pictures that travel inside a page, and a browser of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_rgb
from PIL import Image
from scipy import ndimage

from lrpbook_lib.explore.figures.alt import frame_slider, titled
from lrpbook_lib.explore.levels import gray_levels
from lrpbook_lib.explore.palette import outlines


def paint(image: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Gray values in [0, 1] as an RGB picture, with the regions outlined.

    Parameters
    ----------
    image, labels
        ``(H, W)``.

    Returns
    -------
    ndarray
        ``(H, W, 3)`` uint8.
    """
    picture = np.repeat(gray_levels(image, (0, 1))[..., None], 3, axis=2)
    for color, region in {} if labels is None else outlines(labels).items():
        edge = region & ~ndimage.binary_erosion(region)
        picture[edge] = np.rint(255 * np.array(to_rgb(color)))
    return picture


def as_source(picture: np.ndarray) -> str:
    """A picture ``(H, W, 3)`` uint8 as the address of a PNG that holds it."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def slice_browser(
    images: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    stops: Sequence[str],
    title: str,
) -> go.Figure:
    """Leaf through slices with a slider; works without a kernel.

    The pictures travel as PNG, a tenth of the size of numbers.

    Parameters
    ----------
    images
        ``(S, C, H, W)`` in [0, 1].
    labels
        ``(S, H, W)``, outlined on every channel.
    names
        Of the C channels, shown side by side.
    stops
        Name of each slice on the slider.
    """

    def sheet(index: int) -> go.Image:
        row = [paint(channel, labels[index]) for channel in images[index]]
        return go.Image(source=as_source(np.concatenate(row, axis=1)), hoverinfo="skip")

    frames = [go.Frame(data=[sheet(i)], name=str(s)) for i, s in enumerate(stops)]
    # Begin where most can be seen, not below the brain.
    first = int((labels > 0).sum(axis=(1, 2)).argmax())
    fig = go.Figure(data=[sheet(first)], frames=frames)
    height, width = images.shape[2:]
    for place, name in enumerate(names):
        fig.add_annotation(
            x=(place + 0.5) * width, y=-2, text=name, showarrow=False, yanchor="bottom"
        )
    return titled(
        fig,
        title,
        f"{len(stops)} axial slices in {', '.join(names)}, one at a time, with the "
        "tumor's regions outlined; a slider moves up and down.",
        height=int(760 * height / (width * len(names))) + 190,
        margin={"l": 10, "r": 10, "b": 10},
        xaxis={"visible": False},
        yaxis={"visible": False},
        sliders=[frame_slider(fig, "slice", active=first)],
    )
