"""Guidance on a share of each batch, at little more than that share of its price."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lrpbook_lib.attribution.maps import evaluation_form
from lrpbook_lib.guidance import CrossEntropy
from lrpbook_lib.guidance.loss import Told, cross_entropy


def guided_rows(size: int, share: float, rank: int, world: int) -> tuple[int, int]:
    """How many rows of a batch are guided: the first ones, here and in all processes.

    A batch is drawn in an order that follows from seed and epoch, and process r has its
    rows r, r + world, and so on. The first ones are therefore a random share, known
    again after a resume, and the same one in any number of processes that it serves.

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


def widened(limit: float | None, weight: float) -> float | None:
    r"""The limit on the gradient through relevance, for the map of few samples.

    What a limit cuts is signal and noise together, and of :math:`|G|` of :math:`B`
    samples the noise is :math:`\sqrt{B / |G|}` times as long. It is widened by as much,
    up to one, where the step would begin to point uphill for cross entropy.

    Parameters
    ----------
    limit : float, optional
        See :func:`~lrpbook_lib.training.gradients.descend`.
    weight : float
        :math:`B / |G|`.
    """
    return limit and max(limit, min(limit * weight**0.5, 1.0))


def tell(
    loss: CrossEntropy,
    logits: Tensor,
    label: Tensor,
    relevance: Tensor,
    *masks: Tensor,
    whole: int,
    size: int,
    fabric: Any,
) -> Told:
    r"""The loss of a batch, of which the map is known of the first rows only.

    Let :math:`L_i(CE_i, R_i)` be the loss of a sample and :math:`G` the guided rows, of
    all processes. The gradient through the map is that of :math:`\frac{B}{|G|}
    \sum_{i \in G} L_i`, the expectation of which over the draw of :math:`G` is what the
    whole batch would give. Beside it, cross entropy counts in every row:

    .. math:: \sum_{i \in G} \frac{\partial L_i}{\partial CE_i} \nabla CE_i +
        a \sum_{i \notin G} \nabla CE_i, \qquad
        a = \frac{1}{|G|} \sum_{i \in G} \frac{\partial L_i}{\partial CE_i}

    A loss that adds to cross entropy has :math:`a = 1`. The paper's divides it by the
    score, by up to ten times in some rows: were those weighed by :math:`B / |G|`, too,
    a few of them would make the step.
    """
    rows, weight = len(relevance), size / whole
    held = relevance.detach()
    seen = held + weight * (relevance - held)  # the same, with a steeper gradient
    parts = (logits[:rows], label[:rows], seen, *(m[:rows] for m in masks))
    told = loss.tell(*parts)
    (slope,) = torch.autograd.grad(told.loss.sum(), told.ce, retain_graph=True)
    mean = fabric.all_reduce(slope.sum(), reduce_op="sum") / whole
    rest = cross_entropy(logits[rows:], label[rows:])
    # The value, of which no gradient is taken, is weighed in the same way.
    more = (weight - 1) * (told.loss - mean * told.ce).detach()
    of_map = (told.score, told.guided)
    return Told(
        torch.cat([told.loss + more, mean * rest]),
        torch.cat([told.ce, rest]),
        *(None if t is None else F.pad(t, (0, len(rest))) for t in of_map),
    )
