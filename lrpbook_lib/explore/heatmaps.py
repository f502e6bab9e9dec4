"""Heatmaps beside the image that they explain."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor


def heatmap_panels(
    image: Tensor,
    maps: Mapping[str, Tensor],
    mask: Tensor | None = None,
    columns: int = 4,
) -> Figure:
    """The image and its heatmaps, red for positive relevance and blue for negative.

    Parameters
    ----------
    image : Tensor of shape (H, W)
    maps : mapping of str to Tensor of shape (H, W)
        Heatmaps by title, each on its own scale, symmetric around zero.
    mask : Tensor of shape (H, W), optional
        A region to outline in every panel.
    columns : int
        Panels in a row.

    Returns
    -------
    Figure
    """
    columns = min(columns, len(maps) + 1)
    rows = -(-(len(maps) + 1) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(2.3 * columns, 2.55 * rows), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    axes.flat[0].imshow(image.detach().cpu(), cmap="gray")
    axes.flat[0].set_title("image", fontsize=10)
    for axis, (title, heat) in zip(axes.flat[1:], maps.items(), strict=False):
        heat = heat.detach().cpu()
        limit = float(heat.abs().quantile(0.998)) or 1.0
        axis.imshow(heat, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(title, fontsize=10)
    if mask is not None:
        for axis in axes.flat[: len(maps) + 1]:
            axis.contour(mask.cpu().float(), levels=[0.5], colors="k", linewidths=0.8)
    fig.tight_layout()
    return fig
