"""What to put in the place of pixels that are taken away.

No choice is neutral: a black hole, a blur and somebody else's tissue each make an image
that the network has not seen. Measures that take pixels away therefore ask for it by
name, and conclusions should hold for more than one.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .scores import region_of


class Imputer(ABC):
    """Fills a region of images, and leaves the rest as it is.

    The answer depends on the settings alone, not on the batch an image comes in.
    """

    def __call__(
        self, x: Tensor, region: Tensor, source: Tensor | None = None
    ) -> Tensor:
        """Images with a region replaced.

        Parameters
        ----------
        x : Tensor of shape ``(B, C, *space)``
        region : Tensor of shape ``(B, *space)`` or ``(B, 1, *space)``
            What to replace: bool, or labels of which everything above zero counts.
        source : Tensor, shaped like ``region``, optional
            Where a filling may learn from, such as the brain, so that a black
            background does not leak into it; default everywhere.
        """
        gone = region_of(region, x[:, 0])[:, None] > 0
        seen = (
            torch.ones_like(gone)
            if source is None
            else region_of(source, x[:, 0])[:, None] > 0
        )
        return torch.where(gone, self.fill(x, gone, seen).to(x.dtype), x)

    @abstractmethod
    def fill(self, x: Tensor, gone: Tensor, seen: Tensor) -> Tensor:
        """Values for ``x`` where ``gone``; this and ``seen`` are ``(B, 1, *space)``."""


@dataclass(frozen=True)
class Mean(Imputer):
    """The mean of each channel of each image, or a given value.

    Attributes
    ----------
    value : float or sequence of float, optional
        One for all channels or one for each; default the image's own mean, whole.
    """

    value: float | Sequence[float] | None = None

    def fill(self, x: Tensor, gone: Tensor, seen: Tensor) -> Tensor:
        """A constant a channel."""
        if self.value is None:
            return _mean(x, seen)
        value = torch.as_tensor(self.value, dtype=x.dtype, device=x.device)
        return value.reshape(1, -1, *[1] * (x.ndim - 2)).expand_as(x)


@dataclass(frozen=True)
class Blur(Imputer):
    r"""The image itself out of focus: a Gaussian over what is seen.

    .. math:: \tilde x = \frac{G_\sigma * (w x)}{G_\sigma * w}

    with w one where the image is seen. Coarse structure of the region survives, the
    region's own brightness too: good for starting an insertion curve (Petsiuk et al.
    2018, ``petsiuk2018``), wrong for asking what a tumor does.

    Attributes
    ----------
    sigma : float
        Pixels.
    """

    sigma: float = 5.0

    def fill(self, x: Tensor, gone: Tensor, seen: Tensor) -> Tensor:
        """The blurred image; the mean where there is nothing in reach."""
        weight = seen.to(x.dtype)
        reach = self._blurred(weight)
        tiny = torch.finfo(x.dtype).tiny * 1e8
        blurred = self._blurred(weight * x) / reach.clamp(min=tiny)
        return torch.where(reach > tiny, blurred, _mean(x, seen))

    def _blurred(self, x: Tensor) -> Tensor:
        for axis in range(2, x.ndim):
            place = torch.arange(x.shape[axis], device=x.device, dtype=x.dtype)
            far = (place[:, None] - place) / self.sigma
            x = (x.movedim(axis, -1) @ (-far.square() / 2).exp()).movedim(-1, axis)
        return x


@dataclass(frozen=True)
class Inpaint(Blur):
    """The blur of what is left: nothing of the region shines through.

    Deep inside, the nearest pixels outside decide.
    """

    def fill(self, x: Tensor, gone: Tensor, seen: Tensor) -> Tensor:
        """The blur over what is seen and stays."""
        return super().fill(x, gone, seen & ~gone)


@dataclass(frozen=True)
class NoisyLinear(Imputer):
    r"""Each pixel the weighted mean of its neighbors, all solved at once, plus noise.

    .. math:: \sum_{j \in N(i)} w_{ij} (v_i - v_j) = 0, \qquad
        w_{ij} \propto 1 / \lVert i - j \rVert_1

    with v known outside of the region: in two dimensions 1/6 for direct and 1/12 for
    diagonal neighbors. Rong et al. 2022 (``rong2022``), whose point is that the shape
    of the region must not tell the class. A region that touches nothing known becomes
    the mean. Solved directly, on the CPU: some milliseconds for a slice of 64 x 64, far
    too long for large regions of volumes.

    Attributes
    ----------
    noise : float
        Standard deviation of what is added, the same at a place in every image.
    seed : int
    """

    noise: float = 0.01
    seed: int = 0

    def fill(self, x: Tensor, gone: Tensor, seen: Tensor) -> Tensor:
        """The solution, with noise."""
        values = x.detach().movedim(1, -1).double().cpu().numpy()  # (B, *space, C)
        hole = gone[:, 0].cpu().numpy()
        known = seen[:, 0].cpu().numpy() & ~hole
        mean = _mean(x, seen & ~gone).flatten(1).double().cpu().numpy()
        for i in np.flatnonzero(hole.reshape(len(x), -1).any(1)):
            values[i][hole[i]] = _interpolated(values[i], hole[i], known[i], mean[i])
        draw = torch.Generator().manual_seed(self.seed)
        noise = self.noise * torch.randn(x.shape[1:], generator=draw)
        return torch.from_numpy(values).movedim(-1, 1).to(x) + noise.to(x)


def _interpolated(
    values: np.ndarray, hole: np.ndarray, known: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """Values (n, C) of the n pixels of a hole in ``(*space, C)``: linear equations."""
    from scipy import linalg, sparse  # a quarter of a second that others need not wait

    place = np.argwhere(hole)
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(len(place))
    anchor = 1e-9  # to the mean: decides only where nothing else does
    diagonal = np.full(len(place), anchor)
    right = np.tile(anchor * mean, (len(place), 1))
    rows, columns, weights = [], [], []
    for step in itertools.product((-1, 0, 1), repeat=hole.ndim):
        if not any(step):
            continue
        near = place + np.array(step)
        row = np.flatnonzero(((near >= 0) & (near < hole.shape)).all(1))
        at = tuple(near[row].T)
        weight = 1 / np.abs(step).sum()
        diagonal[row] += weight * (known[at] | hole[at])
        right[row] += weight * known[at][:, None] * values[at]
        if step > (0,) * hole.ndim:  # above the diagonal, for symmetry gives the rest
            rows.append(row[hole[at]])
            columns.append(number[at][hole[at]])
            weights.append(np.full(len(rows[-1]), -weight))
    row, column = np.concatenate(rows), np.concatenate(columns)
    width = int((column - row).max(initial=0))
    if width > 256:  # as in volumes
        index = (np.concatenate(weights), (row, column))
        upper = sparse.coo_matrix(index, (len(place), len(place)))
        whole = (upper + upper.T + sparse.diags(diagonal)).tocsc()
        return sparse.linalg.splu(whole).solve(right)
    band = np.zeros((width + 1, len(place)))
    band[-1] = diagonal
    band[width + row - column, column] = np.concatenate(weights)
    return linalg.solveh_banded(band, right, overwrite_ab=True, check_finite=False)


@dataclass(frozen=True, eq=False)
class Donor(Imputer):
    """The same place in somebody else's image.

    Attributes
    ----------
    images : Tensor of shape ``(B, C, *space)``
        One for each image of the batch, see
        :func:`~lrpbook_lib.attribution.choose_donors`.
    """

    images: Tensor

    def fill(self, x: Tensor, gone: Tensor, seen: Tensor) -> Tensor:
        """The donors."""
        if self.images.shape != x.shape:
            raise ValueError(
                f"donors have shape {tuple(self.images.shape)}, images "
                f"{tuple(x.shape)}: give one donor for each image."
            )
        return self.images.to(x)


#: Fillings by name; one of your own is a row more.
IMPUTERS: dict[str, type[Imputer]] = {
    "mean": Mean,
    "blur": Blur,
    "inpaint": Inpaint,
    "noisy_linear": NoisyLinear,
    "donor": Donor,
}


def imputer(name: str | Imputer, **settings: object) -> Imputer:
    """The filling of that name, or the one given.

    Parameters
    ----------
    name : str or Imputer
        One of ``IMPUTERS``.
    **settings
        Its attributes, e.g. ``imputer("blur", sigma=3)``.
    """
    if isinstance(name, Imputer):
        return name
    if name not in IMPUTERS:
        raise ValueError(f"fill is {name!r}; it takes one of {list(IMPUTERS)}.")
    return IMPUTERS[name](**settings)


def _mean(x: Tensor, seen: Tensor) -> Tensor:
    """Means ``(B, C, 1, ...)`` over what is seen; of the whole where nothing is."""
    axes = tuple(range(2, x.ndim))
    weight = seen | ~seen.flatten(1).any(1).reshape(-1, *[1] * (x.ndim - 1))
    return (x * weight).sum(axes, keepdim=True) / weight.sum(axes, keepdim=True)
