"""Where in the anatomy relevance lies; whether an answer needs more than a shape."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def region_shares(
    relevance: Tensor, regions: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    r"""Share of positive relevance in each region of a map that covers everything.

    .. math:: s_k = \frac{\sum_{i: a_i = k} R_i^+}{\sum_i R_i^+}

    The shares of a sample sum to one; they are zero where no relevance is positive.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    regions : Tensor of shape ``(B, *space)`` or ``(*space)``
        The number of a region, for each voxel.
    names : sequence of str
        Of the regions 0, 1 and so on.

    Returns
    -------
    dict of str to Tensor of shape (B,)
    """
    heat = relevance.sum(1).clamp(min=0)
    label = regions.to(heat.device).long()
    if label.shape == heat.shape[1:]:
        label = label.expand_as(heat)
    if label.shape != heat.shape:
        raise ValueError(
            f"regions of shape {tuple(regions.shape)} do not fit relevance of shape "
            f"{tuple(heat.shape)} (channels summed)."
        )
    if int(label.max()) >= len(names) or int(label.min()) < 0:
        raise ValueError(
            f"regions has the number {int(label.max())}; {len(names)} are named."
        )
    sums = heat.new_zeros(len(heat), len(names))
    sums.scatter_add_(1, label.flatten(1), heat.flatten(1))
    total = sums.sum(1, keepdim=True)
    shares = torch.where(total > 0, sums / total.where(total > 0, 1.0), 0.0)
    return dict(zip(names, shares.unbind(1), strict=True))


def flattened(x: Tensor, brain: Tensor) -> Tensor:
    """Images whose brain has one intensity, its mean: shape and size are left of it.

    Parameters
    ----------
    x : Tensor of shape ``(B, C, *space)``
    brain : Tensor of shape ``(B, *space)``
    """
    inside = (brain > 0)[:, None].to(x.dtype)
    count = inside.flatten(2).sum(2).clamp(min=1)
    mean = (x * inside).flatten(2).sum(2) / count  # (B, C)
    return x * (1 - inside) + inside * mean.reshape(*mean.shape, *[1] * (x.ndim - 2))


def shuffled(x: Tensor, brain: Tensor, seed: int = 0) -> Tensor:
    """Images whose voxels inside the brain have changed places at random.

    Shape, size and histogram stay; anatomy goes. Parameters as of :func:`flattened`.
    """
    draw, out = torch.Generator().manual_seed(seed), x.clone()
    for image, inside in zip(out, brain.cpu() > 0, strict=True):
        values = image[:, inside]
        image[:, inside] = values[:, torch.randperm(values.shape[1], generator=draw)]
    return out


def equal_volumes(x: Tensor, brain: Tensor, voxels: float) -> Tensor:
    """Images scaled about their middle until each brain has the same volume.

    Parameters
    ----------
    x : Tensor of shape ``(B, C, D, H, W)``
    brain : Tensor of shape ``(B, D, H, W)``
    voxels : float
        Volume that all brains get.
    """
    have = (brain > 0).flatten(1).sum(1).clamp(min=1).to(x.dtype)
    axes = x.ndim - 2
    shrink = (have / voxels) ** (1 / axes)  # of the way from output to input
    theta = torch.diag_embed(shrink[:, None].expand(-1, axes))
    theta = torch.cat([theta, theta.new_zeros(len(x), axes, 1)], 2)
    where = F.affine_grid(theta, list(x.shape), align_corners=False)
    return F.grid_sample(x, where, padding_mode="border", align_corners=False)
