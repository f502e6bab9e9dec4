"""Slices on a page: planes of a patient, a browser without a kernel, panels."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy import ndimage

from lrpbook_lib.explore.figures import frame_slider
from lrpbook_lib.explore.volumes import REGION_COLORS


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
    seg = volumes["seg"]
    # The mean position lies outside a crescent: take the fullest cut of each axis.
    i, j, k = (
        int((seg > 0).sum(axis=tuple(a for a in range(3) if a != axis)).argmax())
        for axis in range(3)
    )
    cuts: dict[str, tuple[Any, float]] = {
        "axial": (np.s_[::-1, :, k], spacing[1] / spacing[0]),
        "coronal": (np.s_[::-1, j, :], spacing[2] / spacing[0]),
        "sagittal": (np.s_[i, ::-1, :], spacing[2] / spacing[1]),
    }
    fig, axes = plt.subplots(
        3, len(names), figsize=(2.3 * len(names), 6.6), squeeze=False
    )
    for row, (plane, (cut, aspect)) in zip(axes, cuts.items(), strict=True):
        for axis, name in zip(row, names, strict=True):
            top = np.percentile(volumes[name][volumes[name] > 0], 99.5)
            axis.imshow(
                volumes[name][cut].T,
                cmap="gray",
                vmax=top,
                origin="lower",
                aspect=aspect,
            )
            outline = (seg[cut].T > 0).astype(float)
            if outline.any():
                axis.contour(outline, [0.5], colors="#E69F00", linewidths=0.9)
            axis.set(xticks=[], yticks=[])
            axis.set_title(name if plane == "axial" else "")
        row[0].set_ylabel(plane)
    fig.tight_layout(pad=0.3)
    return fig


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
    picture = np.repeat(np.clip(image, 0, 1)[..., None] * 255, 3, axis=2)
    if labels is not None:
        for value in np.unique(labels[labels > 0]):
            region = labels == value
            edge = region & ~ndimage.binary_erosion(region)
            color = to_rgb(REGION_COLORS.get(int(value), "#E69F00"))
            picture[edge] = np.array(color) * 255
    return picture.astype(np.uint8)


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
    hidden = {"visible": False}
    fig.update_layout(
        title=title,
        height=int(760 * height / (width * len(names))) + 190,
        margin={"l": 10, "r": 10, "b": 10},
        xaxis=hidden,
        yaxis=hidden,
        sliders=[frame_slider(fig, "slice", active=first)],
        meta={
            "alt": f"{title}. {len(stops)} axial slices in {', '.join(names)}, one at "
            "a time, with the tumor's regions outlined; a slider moves up and down."
        },
    )
    return fig


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
    fig, axes = plt.subplots(
        1, len(images), figsize=(2.4 * len(images), 2.8), squeeze=False
    )
    for axis, image, label, title in zip(axes[0], images, labels, titles, strict=True):
        axis.imshow(paint(np.asarray(image), np.asarray(label)))
        axis.set_title(title)
        axis.axis("off")
    fig.tight_layout(pad=0.3)
    return fig


def intensity_curves(
    groups: Mapping[str, Mapping[str, np.ndarray]], bins: int = 60
) -> Figure:
    """Histograms of brain intensities, a panel a group and a line a patient.

    Parameters
    ----------
    groups
        Panel title to (line name to values).
    """
    fig, axes = plt.subplots(
        1, len(groups), figsize=(4.2 * len(groups), 2.9), squeeze=False
    )
    for axis, (title, lines) in zip(axes[0], groups.items(), strict=True):
        top = max(np.percentile(values, 99.5) for values in lines.values())
        low = min(np.percentile(values, 0.5) for values in lines.values())
        for name, values in lines.items():
            height, edges = np.histogram(values, bins, (low, top), density=True)
            axis.plot((edges[:-1] + edges[1:]) / 2, height, label=name)
        axis.set(title=title, yticks=[], xlabel="intensity")
    axes[0, -1].legend(fontsize=8)
    fig.tight_layout()
    return fig


def choice_along_z(area: np.ndarray, chosen: Mapping[str, np.ndarray]) -> Figure:
    """Tumor area by slice, with the slices that recipes choose.

    Parameters
    ----------
    area
        ``(Z,)`` mm².
    chosen
        Recipe to positions.
    """
    fig, axis = plt.subplots(figsize=(7, 2.8))
    axis.fill_between(np.arange(len(area)), area / 100, color="0.85")
    styles = zip(chosen.items(), ("#D55E00", "#0072B2", "#009E73"), "ox^", strict=False)
    for (name, z), color, mark in styles:
        axis.plot(z, area[z] / 100, mark, color=color, label=name)
    axis.set(xlabel="axial slice, upwards", ylabel="tumor area (cm²)")
    axis.legend()
    fig.tight_layout()
    return fig
