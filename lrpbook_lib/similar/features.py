"""A hidden layer as the columns that neighbors are searched in."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from lrpbook_lib.files import quiet
from lrpbook_lib.lrp import Composite, Explainer

Wide = Literal["pool", "sketch"]
BATCH = 32


class LayerReader:
    """Activations of one layer, reduced where it is wide.

    Parameters
    ----------
    model : nn.Module
    layer : str
        A name that ``Explainer.layers`` lists.
    width : int
        Columns at most; a layer of no more units is read as it is.
    wide : {"pool", "sketch"}
        What happens to a wider one, see :func:`pooled` and :func:`sketched`.
    composite : str or Composite
        LRP rules for the layer's relevance; the activations do not depend on them.
    seed : int
        Of the sketch.
    """

    def __init__(
        self,
        model: nn.Module,
        layer: str,
        width: int = 256,
        wide: Wide = "pool",
        composite: str | Composite = "epsilon-plus",
        seed: int = 0,
    ) -> None:
        if wide not in get_args(Wide):
            raise ValueError(f"wide is {wide!r}; it takes 'pool' or 'sketch'.")
        self.explainer = Explainer(model, composite, at=layer)
        self.layer, self.width, self.wide, self.seed = layer, width, wide, seed

    @torch.no_grad()
    def units(self, x: Tensor) -> Tensor:
        """All units of the layer, ``(B, *out)``, dropout off."""
        z = self.explainer.activation(x.to(_device(self.explainer.model)))
        if not bool(torch.isfinite(z).all()):
            raise ValueError(
                f"Layer {self.layer!r} gives NaN or infinity: are the weights finite?"
            )
        return z.float()

    def __call__(self, x: Tensor) -> np.ndarray:
        """Columns ``(B, D)`` of images ``(B, C, *space)``, D at most ``width``."""
        return self.reduce(self.units(x)).cpu().numpy()

    def reduce(self, z: Tensor) -> Tensor:
        """Columns ``(B, D)`` of the units ``(B, *out)``."""
        if z[0].numel() <= self.width:
            return z.flatten(1)
        if self.wide == "sketch":
            return sketched(z, self.width, self.seed)
        if z.ndim < 3 or z.shape[1] > self.width:
            raise ValueError(
                f"Layer {self.layer!r} has {z.shape[1]} channels, which pooling cannot "
                f"bring below width={self.width}: use wide='sketch', or a larger width."
            )
        return pooled(z, self.width)


def pooled(z: Tensor, width: int) -> Tensor:
    """Means of each channel over the finest grid of at most ``width`` columns.

    Parameters
    ----------
    z : Tensor of shape ``(B, channels, *space)``
        At most three axes of space, at most ``width`` channels.
    """
    space = z.shape[2:]
    cells = int((width / z.shape[1]) ** (1 / len(space)) + 1e-9)
    grid = [min(cells, n) for n in space]
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
    return pool[len(space) - 1](z, grid).flatten(1)  # type: ignore[arg-type]


def sketched(z: Tensor, width: int, seed: int = 0) -> Tensor:
    r"""A random projection that costs one addition a unit: the count sketch.

    Every unit is added, with a random sign, to one random column. Dot products are
    right on average, with the variance that a dense matrix of random signs has,

    .. math:: \big(\|z\|^2 \|z'\|^2 + (z^\top z')^2
        - 2 \textstyle\sum_m z_m^2 z_m'^2\big) / \mathrm{width}.

    Parameters
    ----------
    z : Tensor of shape ``(B, *out)``
    """
    flat = z.flatten(1)
    generator = torch.Generator().manual_seed(seed)
    column = torch.randint(width, flat.shape[1:], generator=generator)
    sign = torch.randint(2, flat.shape[1:], generator=generator) * 2 - 1
    out = flat.new_zeros(len(flat), width)
    return out.index_add_(1, column.to(z.device), flat * sign.to(flat))


def read_layers(
    readers: dict[str, LayerReader], data: Any, rows: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Columns of every layer for a data set of images, batch by batch.

    Parameters
    ----------
    data : Dataset
        Items are dictionaries with an ``image``.
    rows : ndarray, optional
        Positions to read; default all.
    """
    rows = np.arange(len(data)) if rows is None else rows
    found: dict[str, list[np.ndarray]] = {layer: [] for layer in readers}
    starts = range(0, len(rows), BATCH)
    idle = quiet() or len(starts) < 20
    for start in tqdm(starts, desc="activations", disable=idle, leave=False):
        x = images_of(data, rows[start : start + BATCH])
        for layer, reader in readers.items():
            found[layer].append(reader(x))
    return {layer: np.concatenate(parts) for layer, parts in found.items()}


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
        orders.append(rankdata(distance, method="ordinal", axis=1).astype(float))
    near = (orders[0] <= k) & (orders[1] <= k)
    centered = [order - order.mean(1, keepdims=True) for order in orders]
    norms = [np.linalg.norm(each, axis=1) for each in centered]
    ranks = (centered[0] * centered[1]).sum(1) / (norms[0] * norms[1])
    return float(near.sum(1).mean() / k), float(ranks.mean())


def _device(model: nn.Module) -> torch.device:
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device
