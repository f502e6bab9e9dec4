"""Guidance on a share of each batch, at little more than that share of its price."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from lrpbook_lib.attribution.maps import evaluation_form
from lrpbook_lib.guidance import CrossEntropy
from lrpbook_lib.guidance.loss import Told, cross_entropy


def guided_rows(size: int, share: float, rank: int, world: int) -> tuple[int, int]:
    """How many rows of a batch are guided: the first ones, here and in all processes.

    A batch is drawn in an order that follows from seed and epoch, and process r has its
    rows r, r + world, and so on. The first ones are therefore a random share, the same
    one however many processes there are, and known again after a resume.

    Parameters
    ----------
    size : int
        Of the batch of all processes together.
    share : float
    rank, world : int
        Which process this is, of how many: each guides a row at least.

    Returns
    -------
    here, whole : int
    """
    whole = min(max(round(share * size), world), size)
    return -(-(whole - rank) // world), whole


def passes(
    explain: Any, plain: Any, x: Tensor, target: Tensor | None, rows: int
) -> tuple[Tensor, Tensor]:
    """Logits of a batch, and the map of its first rows.

    Logits are of one training pass of the whole batch, for batch norm sees all of it;
    the map is of a pass in evaluation form of its own.

    Parameters
    ----------
    explain, plain : callable
        The explainer and its network.
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,), or None
    rows : int
    """
    logits = plain(x)
    with evaluation_form(plain):
        return logits, explain(x[:rows], None if target is None else target[:rows])[1]


def tell(
    loss: CrossEntropy,
    logits: Tensor,
    label: Tensor,
    relevance: Tensor,
    *masks: Tensor,
    weight: float,
) -> Told:
    r"""The loss of a batch, of which the map is known of the first rows only.

    With :math:`L_i` the loss of a sample and :math:`G` the guided rows, it is

    .. math:: \sum_i CE_i + w \sum_{i \in G} (L_i - CE_i), \qquad w = B / |G|

    the expectation of which over the draw of :math:`G` is :math:`\sum_i L_i`.
    """
    rows, rest = len(relevance), len(logits) - len(relevance)
    parts = (logits[:rows], label[:rows], relevance, *(m[:rows] for m in masks))
    told, ce = loss.tell(*parts), cross_entropy(logits, label)
    assert told.score is not None and told.guided is not None
    more, score, guided = (
        F.pad(t, (0, rest)) for t in (told.loss - told.ce, told.score, told.guided)
    )
    return Told(ce + weight * more, ce, score, guided)
