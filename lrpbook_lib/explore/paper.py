"""Widgets on paper: the colors of ``web/kit.js`` in matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

#: Orange for, blue against, as in the widgets; told apart by color-blind readers.
RELEVANCE = LinearSegmentedColormap.from_list(
    "relevance",
    [
        (0.0, "#96deff"),
        (0.25, "#007dc3"),
        (0.5, "#282828"),
        (0.75, "#d55e00"),
        (1.0, "#ffd682"),
    ],
)


def overlay(axis: Any, gray: np.ndarray, level: np.ndarray, mask: np.ndarray) -> None:
    """Draw a picture, its heatmap in levels from 0 to 30 over it, and a region's edge.

    Parameters
    ----------
    axis
        A matplotlib axis.
    gray, level, mask
        ``(H, W)``.
    """
    root = (level.astype(float) - 15) / 15
    axis.imshow(gray, cmap="gray", interpolation="nearest")
    axis.imshow(
        np.sign(root) * root**2,
        cmap=RELEVANCE,
        vmin=-1,
        vmax=1,
        alpha=0.9 * np.abs(root),
        interpolation="nearest",
    )
    if mask.any():
        axis.contour(mask.astype(float), [0.5], colors="white", linewidths=0.8)
    axis.set(xticks=[], yticks=[])
