r"""Which parts of two images make a network take them for alike: BiLRP in numbers.

The similarity at a layer is the dot product of two activations, and BiLRP shares it out
among pairs of positions. Summed over regions A and A', tumor and elsewhere,

.. math:: S_{AA'} = \sum_m u_{Am} u'_{A'm}, \qquad u_{Am} = \sum_{i \in A} R_i[\phi_m],

so that the unit sums of an image (:func:`~lrpbook_lib.lrp.region_sums`) are computed
once, and every pair of a cohort is a product of two small matrices. Exact, however
wide the layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lrpbook_lib.lrp import Explainer, region_sums

from .atlas import SimilarCases
from .conformal import Found
from .features import batches, images_of

#: Tumor to tumor; tumor to elsewhere, either way round; elsewhere to elsewhere.
SHARES = ("tumor_tumor", "tumor_elsewhere", "elsewhere_elsewhere")


def pair_shares(
    explainer: Explainer, slices: Any, others: Any, pairs: np.ndarray
) -> pd.DataFrame:
    """Shares of the similarity of pairs of slices by region, and their chance level.

    Parameters
    ----------
    explainer : Explainer
        With ``at`` the layer whose activations are compared.
    slices, others : SliceSet
        With tumor masks.
    pairs : ndarray of shape (P, 2), int
        Positions in ``slices`` and in ``others``. Memory grows with the units of the
        layer times the different slices in the pairs, eight bytes each.

    Returns
    -------
    DataFrame
        A row a pair. ``tumor_tumor``, ``tumor_elsewhere``, ``elsewhere_elsewhere`` add
        up to one, and stay between 0 and 1 where no relevance is negative.
        ``chance_*``: the same for relevance spread evenly over either brain.
        ``similarity``: what the shares are shares of, the dot product less what biases
        absorb; where it is zero, shares are NaN.
    """
    pairs = np.asarray(pairs).reshape(-1, 2)
    sums, area = _regions(explainer, slices, pairs[:, 0])
    other_sums, other_area = _regions(explainer, others, pairs[:, 1])
    between = sums @ other_sums.transpose(1, 2)  # (P, 2, 2)
    by_area = area[:, :, None] * other_area[:, None, :]
    total = between.sum((1, 2))
    shares = between / torch.where(total == 0, torch.nan, total)[:, None, None]
    columns = {**_three(shares, ""), **_three(by_area, "chance_")}
    return pd.DataFrame(columns).assign(similarity=total.numpy())


def neighbor_shares(
    cases: SimilarCases, found: Found, queries: Any, atlas: Any
) -> pd.DataFrame:
    """Shares of the similarity between each query and each of its neighbors.

    Parameters
    ----------
    cases : SimilarCases
    found : Found
        What ``cases.query(queries)`` answered.
    queries, atlas : SliceSet
        With tumor masks; ``atlas`` as it was given to ``fit``.

    Returns
    -------
    DataFrame
        The columns of ``found.table()`` and of :func:`pair_shares`, and ``of``, the
        patient of the query.
    """
    tables = []
    for layer, table in found.table().groupby("layer", sort=False):
        pairs = table[["query", "row"]].to_numpy()
        shares = pair_shares(cases.explainers[str(layer)], queries, atlas, pairs)
        shares.index = table.index
        of = np.asarray(queries.patient)[pairs[:, 0]]
        tables.append(pd.concat([table.assign(of=of), shares], axis=1))
    return pd.concat(tables)


def patient_totals(table: pd.DataFrame, by: str = "of") -> pd.DataFrame:
    """Relevance by region of all pairs of a patient together, a row a patient.

    The share of a cohort is best a ratio of sums, ``total["tumor_tumor"].sum() /
    total["similarity"].sum()``: the share of a single pair that hardly has anything in
    common is a small number over a small number, and a mean of such says nothing.

    Parameters
    ----------
    table : DataFrame
        From :func:`neighbor_shares` or :func:`pair_shares`.
    by : str
        Column that names the patient.

    Returns
    -------
    DataFrame
        ``by``, the columns ``SHARES`` as relevance, and ``similarity``.
    """
    relevance = table[list(SHARES)].mul(table["similarity"], axis=0).fillna(0)
    relevance = relevance.assign(similarity=table["similarity"])
    return relevance.groupby(table[by]).sum().reset_index()


def block_similarity(
    explainer: Explainer, x: Tensor, others: Tensor, blocks: int = 8
) -> Tensor:
    """Pair relevance between the blocks of one image and those of several others.

    Parameters
    ----------
    explainer : Explainer
        With ``at`` the layer whose activations are compared.
    x : Tensor of shape ``(C, H, W)``
    others : Tensor of shape ``(N, C, H, W)``
    blocks : int
        Blocks along each side.

    Returns
    -------
    Tensor of shape ``(N, blocks, blocks, blocks, blocks)``
        Row and column of the block in ``x``, row and column of that in the other. The
        sum over all is ``BiLRP``'s total.
    """
    images = torch.cat([x[None], others])
    height, width = images.shape[-2:]
    if not 1 <= blocks <= min(height, width):
        raise ValueError(
            f"blocks={blocks}: an image of {height} x {width} pixels takes 1 to "
            f"{min(height, width)} along a side."
        )
    rows = torch.arange(height) * blocks // height
    columns = torch.arange(width) * blocks // width
    block = rows[:, None] * blocks + columns  # (H, W)
    masks = torch.stack([block == b for b in range(blocks**2)]).to(x.device)
    # What a random mixture of all units gives nothing to, as most rules do with black
    # background, no unit gives anything to.
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        heat = explainer.walk(
            images, lambda z: z * torch.rand(z.shape, generator=generator).to(z)
        )
    lit = torch.stack([(heat.abs().sum(1) * mask).any() for mask in masks])
    lit[0] |= ~lit.any()  # of a silent layer one block of zeros tells the shape
    some = region_sums(explainer, images, masks[lit])  # (N + 1, lit blocks, M)
    sums = some.new_zeros(len(images), blocks**2, some.shape[2])
    sums[:, lit] = some
    between = sums[:1] @ sums[1:].transpose(1, 2)
    return between.reshape(len(others), *[blocks] * 4)


def _regions(
    explainer: Explainer, data: Any, rows: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Unit sums of tumor and elsewhere, ``(P, 2, M)``, and their parts of the brain."""
    once, back = np.unique(rows, return_inverse=True)
    device = next(explainer.model.parameters()).device
    sums, area = [], []
    for some in batches(once, "unit sums"):
        items = [data[int(i)] for i in some]
        tumor = torch.stack([item["tumor"] > 0 for item in items])
        brain = torch.stack([item["brain"] for item in items]) | tumor
        masks = torch.stack([tumor, ~tumor], 1).to(device)
        x = images_of(data, some).to(device)
        sums.append(region_sums(explainer, x, masks).cpu())
        inside = torch.stack([tumor, brain & ~tumor], 1).flatten(2).sum(2).double()
        area.append(inside / inside.sum(1, keepdim=True).clamp(min=1))
    return torch.cat(sums).double()[back], torch.cat(area)[back]


def _three(between: Tensor, prefix: str) -> dict[str, np.ndarray]:
    """The columns of the four entries of ``(P, 2, 2)``."""
    across = between[:, 0, 1] + between[:, 1, 0]
    values = (between[:, 0, 0], across, between[:, 1, 1])
    return {
        f"{prefix}{name}": value.numpy()
        for name, value in zip(SHARES, values, strict=True)
    }
