"""Where a model looks, in outlines alone: for images that may not be passed on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.palette import SERIES

HEAD, TUMOR = "#999999", SERIES[4]


def densest_region(heat: np.ndarray, share: float = 0.5) -> np.ndarray:
    """The smallest region that holds a share of the positive relevance.

    Parameters
    ----------
    heat
        ``(H, W)``.
    share
        From 0 to 1.

    Returns
    -------
    ndarray
        ``(H, W)`` bool; empty where no relevance is positive.
    """
    positive = np.clip(heat, 0, None)
    ranked = np.sort(positive, axis=None)[::-1]
    whole = np.cumsum(ranked)
    if whole[-1] <= 0:
        return np.zeros(heat.shape, bool)
    enough = int(np.searchsorted(whole, share * whole[-1]))
    return positive >= ranked[min(enough, len(ranked) - 1)]


def relevance_contours(
    brain: Sequence[np.ndarray],
    tumor: Sequence[np.ndarray],
    heats: Mapping[str, Sequence[np.ndarray]],
    titles: Sequence[str],
    share: float = 0.5,
) -> Figure:
    """Outlines of brain and tumor, and the region where most relevance lies.

    Parameters
    ----------
    brain, tumor
        ``(H, W)`` bool each, a column each.
    heats
        Name of a model, a row each, to its heatmaps ``(H, W)``.
    titles
        Over the columns.
    share
        Of the positive relevance, that the region holds.
    """
    # What lies around all the brains is left out.
    filled = np.nonzero(np.any([*brain, *tumor], axis=0))
    box = tuple(slice(max(0, at.min() - 2), at.max() + 3) for at in filled)
    rows: list[list[Panel]] = []
    for maps in heats.values():
        given = zip(titles, brain, tumor, maps, strict=True)
        row = [
            Panel(
                heat=0.5 * densest_region(np.asarray(heat), share)[box],
                regions={HEAD: np.asarray(head)[box], TUMOR: np.asarray(lesion)[box]},
                title="" if rows else title,
                limit=1,
            )
            for title, head, lesion, heat in given
        ]
        rows.append(row)
    return panels(rows, list(heats), 1.8)
