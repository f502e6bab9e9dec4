r"""BiLRP: why two inputs look alike to a model.

The similarity of two inputs at a layer is the dot product of their activations,
:math:`y = \sum_m \phi_m(x)\, \phi_m(x')`. BiLRP (Eberle et al. 2022, ``eberle2022``)
attributes it to pairs of input features:

.. math:: R_{ii'} = \sum_m R_i[\phi_m](x) \; R_{i'}[\phi_m](x')

where :math:`R[\phi_m]` is the relevance that starts at unit ``m`` alone. The pairs are
P x P numbers, the factors only M x P: they are what is computed and kept, all units of
the layer in one backward walk.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .errors import LRPError
from .explainer import Explainer


@dataclass(frozen=True)
class Pair:
    """Relevance of a similarity, as factors.

    Attributes
    ----------
    left, right : Tensor of shape ``(M, C, *space)``
        Relevance of each input, a row a unit (or a row a random direction).
    similarity : Tensor, scalar
        The dot product of the two activations, exact also where rows are projected.
    units : Tensor of shape (M,) or None
        Which units the rows stand for; None for random directions.
    error : float
        Standard deviation of ``total`` that the random projection brings, zero without.
    """

    left: Tensor
    right: Tensor
    similarity: Tensor
    units: Tensor | None = None
    error: float = 0.0

    @property
    def total(self) -> Tensor:
        """Sum over all pairs: the similarity, up to what the ledgers explain."""
        return self.left.flatten(1).sum(1) @ self.right.flatten(1).sum(1)

    def dense(self, pool: int | None = None) -> Tensor:
        """Relevance of every pair of positions, channels summed.

        Parameters
        ----------
        pool : int, optional
            Sum over blocks of this many positions in each direction first. Without it
            the result has P x P entries, which for an image is very many.

        Returns
        -------
        Tensor of shape ``(*space, *other_space)``
        """
        left, right = self.left.sum(1), self.right.sum(1)
        if pool is not None:
            left, right = _blocks(left, pool), _blocks(right, pool)
        return torch.tensordot(left, right, dims=([0], [0]))

    def share(self, mask: Tensor, other_mask: Tensor) -> Tensor:
        r"""Share of the pair relevance between two regions, straight from the factors.

        .. math:: \sum_{i \in A, i' \in B} R_{ii'} \Big/ \sum_{ii'} R_{ii'}

        Parameters
        ----------
        mask, other_mask : Tensor of shape ``(*space)``
            Regions of the first and the second input; bool, or weights from 0 to 1.

        Returns
        -------
        Tensor, scalar
            Shares of disjoint regions add up to one; single shares can be negative or
            exceed one where relevance has both signs. Zero where nothing is related.
        """
        inside = self.region(mask, other_mask)
        total = self.total
        return torch.where(
            total == 0, total, inside / torch.where(total == 0, 1.0, total)
        )

    def region(self, mask: Tensor, other_mask: Tensor) -> Tensor:
        """Sum of the pair relevance between two regions."""
        return _inside(self.left, mask) @ _inside(self.right, other_mask)


def region_sums(explainer: Explainer, x: Tensor, masks: Tensor) -> Tensor:
    r"""Relevance that every unit of a layer draws from each region, without factors.

    .. math:: u_{km} = \sum_{i \in A_k} R_i[\phi_m](x)

    Relevance is linear in where it starts, so these sums for *all* units are one
    gradient with respect to the start: one relevance pass and its transpose for each
    region, however many units there are. What regions of two inputs share is then
    :math:`\sum_m u_{km} u'_{k'm}`, for any number of pairs.

    Parameters
    ----------
    explainer : Explainer
        With ``at`` the layer whose units are meant; without, the logits are.
    x : Tensor of shape ``(B, C, *space)``
    masks : Tensor of shape ``(K, *space)`` or ``(B, K, *space)``
        Regions, the same for all inputs or each input's own; bool, or weights.

    Returns
    -------
    Tensor of shape ``(B, K, M)``
        Detached; it is a number to report, not one to train through.
    """
    space = tuple(x.shape[2:])
    n = masks.ndim - len(space)
    if tuple(masks.shape[-len(space) :]) != space or n not in (1, 2):
        raise LRPError(
            f"masks has shape {tuple(masks.shape)}; an input of {space} positions "
            "needs (K, *space), or (B, K, *space) where each input has its own."
        )
    masks = masks.to(x.dtype).expand(len(x), *masks.shape[-len(space) - 1 :])
    with torch.enable_grad():
        z = explainer.activation(x).detach()
        units = torch.ones_like(z, requires_grad=True)
        relevance = explainer.walk(x, lambda z: units * z.detach()).sum(1)
        sums = [
            torch.autograd.grad((relevance * mask).sum(), units, retain_graph=True)[0]
            for mask in masks.unbind(1)
        ]
    return torch.stack([each.flatten(1) for each in sums], dim=1)


def _inside(rows: Tensor, mask: Tensor) -> Tensor:
    space = rows.shape[2:]
    if tuple(mask.shape) != tuple(space):
        raise LRPError(
            f"The mask has shape {tuple(mask.shape)}; the input it belongs to has "
            f"{tuple(space)} positions."
        )
    inside = rows.sum(1) * mask.to(rows.dtype)
    return inside.flatten(1).sum(1) if inside.ndim > 1 else inside


def _blocks(rows: Tensor, size: int) -> Tensor:
    """Sums over blocks; the last block of a row may be narrower."""
    space = rows.shape[1:]
    margin = [v for n in reversed(space) for v in (0, -n % size)]
    rows = F.pad(rows, margin)
    for dim in range(1, rows.ndim):
        rows = rows.unfold(dim, size, size).sum(-1)
    return rows


@dataclass(frozen=True)
class BiLRP:
    """Pair relevance between two inputs at a layer.

    Parameters
    ----------
    explainer : Explainer
        With ``at`` the layer whose activations are compared; without, the logits are.
    project : int, optional
        Compare this many random directions of the layer instead of all of its units.
        Unbiased; ``Pair.error`` states the standard deviation it brings.
    chunk : int, optional
        Units that walk back together. Memory is bounded by this times what one
        relevance pass holds. By default 8 on a CPU, where more no longer fit its
        caches, and 64 elsewhere.
    seed : int
        For the random directions.

    Examples
    --------
    >>> pair = BiLRP(Explainer(model, "epsilon-plus", at="classifier.2"))(x, other)
    >>> pair.share(tumor, other_tumor)
    """

    explainer: Explainer
    project: int | None = None
    chunk: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("project", "chunk"):
            if (given := getattr(self, name)) is not None and given < 1:
                raise LRPError(f"{name}={given}: it must be at least 1.")

    def __call__(self, x: Tensor, other: Tensor) -> Pair:
        """Compare two inputs.

        Parameters
        ----------
        x, other : Tensor of shape ``(1, C, *space)`` or ``(C, *space)``

        Returns
        -------
        Pair
        """
        for image in (x, other):
            if image.ndim < 2 or image.shape[0] != 1:
                raise LRPError(
                    f"BiLRP compares one input with one other, not a batch of shape "
                    f"{tuple(image.shape)}: pass x[i:i + 1] and other[j:j + 1]."
                )
        z = self.explainer.activation(x).flatten()
        z_other = self.explainer.activation(other).flatten()
        if z.shape != z_other.shape:
            raise LRPError(
                f"The inputs have {z.numel()} and {z_other.numel()} units at the layer "
                "compared; bring them to one size."
            )
        similarity = (z * z_other).sum()
        if self.project is None:
            # A unit that is silent for either input relates nothing to anything.
            units = ((z != 0) & (z_other != 0)).nonzero().flatten()
            rows = F.one_hot(units, z.numel()).to(z)
            return Pair(self._walk(x, rows), self._walk(other, rows), similarity, units)
        generator = torch.Generator().manual_seed(self.seed)
        signs = torch.randint(0, 2, (self.project, z.numel()), generator=generator)
        rows = (2 * signs - 1).to(z) / self.project**0.5
        # Variance of the dot product of two vectors seen through random signs.
        variance = z.square().sum() * z_other.square().sum() + similarity.square()
        variance = variance - 2 * (z * z_other).square().sum()
        error = float((variance.detach().clamp(min=0) / self.project).sqrt())
        left, right = self._walk(x, rows), self._walk(other, rows)
        return Pair(left, right, similarity, None, error)

    def regions(
        self, x: Tensor, other: Tensor, masks: Tensor, other_masks: Tensor
    ) -> Tensor:
        """Pair relevance between every two regions, without forming the factors.

        The numbers of ``Pair.region``, at the price of a few passes instead of one for
        each unit. Divide by ``sum()`` of a full partition for shares.

        Parameters
        ----------
        x, other : Tensor of shape ``(1, C, *space)``
        masks, other_masks : Tensor of shape ``(K, *space)`` and ``(L, *space)``

        Returns
        -------
        Tensor of shape ``(K, L)``
        """
        left = region_sums(self.explainer, x, masks)[0]
        right = region_sums(self.explainer, other, other_masks)[0]
        return left @ right.T

    def _walk(self, x: Tensor, rows: Tensor) -> Tensor:
        """Relevance of the input for each row of unit weights, ``(M, C, *space)``."""
        if len(rows) == 0:
            return x.new_zeros(0, *x.shape[1:])
        size = self.chunk or (8 if x.device.type == "cpu" else 64)
        return torch.cat(
            [
                self.explainer.walk(x, functools.partial(_weighted, rows=some))
                for some in rows.split(size)
            ]
        )


def _weighted(z: Tensor, rows: Tensor) -> Tensor:
    """The activation, once for each row, weighted unit by unit."""
    return (rows * z.flatten()).reshape(-1, *z.shape[1:])
