"""Where a model looks, in outlines alone: for images that may not be passed on."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

BRAIN, TUMOR, RELEVANCE = "#999999", "#E69F00", "#D55E00"


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
    rows, columns = np.nonzero(np.any([*brain, *tumor], axis=0))
    top, bottom = rows.min(initial=0), rows.max(initial=0) + 1
    left, right = columns.min(initial=0), columns.max(initial=0) + 1
    fig, axes = plt.subplots(
        len(heats),
        len(titles),
        figsize=(1.8 * len(titles), 2.1 * len(heats)),
        squeeze=False,
    )
    for row, (name, maps) in zip(axes, heats.items(), strict=True):
        panels = zip(row, brain, tumor, maps, strict=True)
        for axis, head, lesion, heat in panels:
            region = densest_region(np.asarray(heat), share).astype(float)
            axis.contourf(region, [0.5, 1.5], colors=[RELEVANCE], alpha=0.5)
            for mask, color in ((head, BRAIN), (lesion, TUMOR)):
                if np.any(mask):
                    axis.contour(
                        np.asarray(mask, float), [0.5], colors=color, linewidths=1.2
                    )
            axis.set(xticks=[], yticks=[], aspect="equal")
            # Rows run downwards; leave out what lies around all the brains.
            axis.set(xlim=(left - 2, right + 1), ylim=(bottom + 1, top - 2))
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(name)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    fig.tight_layout(pad=0.4)
    return fig
