"""A hidden layer as the columns that neighbors are searched in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from lrpbook_lib.files import quiet
from lrpbook_lib.lrp import Explainer

BATCH = 32


@torch.no_grad()
def units(explainer: Explainer, x: Tensor) -> Tensor:
    """All units ``(B, *out)`` of the layer that an explainer starts at, dropout off.

    Parameters
    ----------
    explainer : Explainer
    x : Tensor of shape ``(B, C, *space)``
    """
    like = next(explainer.model.parameters(), x)
    z = explainer.activation(x.to(like.device))
    if not bool(torch.isfinite(z).all()):
        raise ValueError(
            f"Layer {explainer.at!r} gives NaN or infinity: are the weights finite?"
        )
    return z.float()


def pooled(z: Tensor, width: int, layer: str = "A layer") -> Tensor:
    """Means of each channel over the finest grid of at most ``width`` columns.

    Parameters
    ----------
    z : Tensor of shape ``(B, channels, *space)``
        At most three axes of space. No more units than ``width`` stay as they are.
    width : int
    layer : str
        For messages.
    """
    if z[0].numel() <= width:
        return z.flatten(1)
    if z.ndim < 3 or z.shape[1] > width:
        raise ValueError(
            f"{layer} has {z.shape[1]} channels, which pooling cannot bring below "
            f"width={width}: use a larger width."
        )
    space = z.shape[2:]
    cells = int((width / z.shape[1]) ** (1 / len(space)) + 1e-9)
    grid = [min(cells, n) for n in space]
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
    return pool[len(space) - 1](z, grid).flatten(1)  # type: ignore[arg-type]


def read_layers(
    explainers: Mapping[str, Explainer],
    data: Any,
    width: int,
    rows: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Columns of every layer for a data set of images, batch by batch.

    Parameters
    ----------
    explainers : mapping of str to Explainer
        One that starts at each layer.
    data : Dataset
        Items are dictionaries with an ``image``.
    width : int
        Columns at most.
    rows : ndarray, optional
        Positions to read; default all.
    """
    found: dict[str, list[np.ndarray]] = {layer: [] for layer in explainers}
    for some in batches(np.arange(len(data)) if rows is None else rows, "activations"):
        x = images_of(data, some)
        for layer, explainer in explainers.items():
            z = pooled(units(explainer, x), width, f"Layer {layer!r}")
            found[layer].append(z.cpu().numpy())
    return {layer: np.concatenate(parts) for layer, parts in found.items()}


def batches(rows: np.ndarray, what: str) -> Iterator[np.ndarray]:
    """Some rows at a time; a bar tells how far they are where that takes a while."""
    starts = range(0, len(rows), BATCH)
    idle = quiet() or len(starts) < 20
    for start in tqdm(starts, desc=what, disable=idle, leave=False):
        yield rows[start : start + BATCH]


def images_of(data: Any, rows: np.ndarray) -> Tensor:
    """Images ``(B, C, *space)`` of some items of a data set."""
    return torch.stack([data[int(i)]["image"] for i in rows])


def order_kept(full: np.ndarray, reduced: np.ndarray, k: int) -> tuple[float, float]:
    """How much of the order of distances a reduction keeps.

    Both sets of columns are standardized first, and compared by Euclidean distance.

    Parameters
    ----------
    full, reduced : ndarray of shape (N, D) and (N, d)
        The same samples.
    k : int

    Returns
    -------
    neighbors : float
        Share of the k nearest of a sample that stay among its k nearest.
    ranks : float
        Rank correlation of a sample's distances, a mean over samples.
    """
    from scipy.spatial.distance import cdist
    from scipy.stats import rankdata

    orders = []
    for columns in (full, reduced):
        spread = columns.std(0)
        columns = (columns - columns.mean(0))[:, spread > 0] / spread[spread > 0]
        distance = cdist(columns, columns)
        others = ~np.eye(len(columns), dtype=bool)
        distance = distance[others].reshape(len(columns), -1)
        # Of slices that lie equally far, the first counts as nearer: k are always near.
        orders.append(rankdata(distance, method="ordinal", axis=1))
    near = (orders[0] <= k) & (orders[1] <= k)
    # Spearman's: ranks without ties are permutations of 1 to n.
    n = orders[0].shape[1]
    apart = ((orders[0] - orders[1]) ** 2).sum(1)
    ranks = 1 - 6 * apart / (n * (n**2 - 1))
    return float(near.sum(1).mean() / k), float(ranks.mean())
