"""How much each sample weighs: by the site, or the class, that it belongs to.

The loss of a batch is the mean of its samples' losses, each times its weight. A weight
may come with the data (``weight`` of an item), from the groups, or from both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lrpbook_lib.guidance.loss import at_least

#: The ways to weigh groups by name: each class puts itself here.
GROUPS: dict[str, type[GroupBalanced]] = {}


@dataclass(frozen=True)
class GroupBalanced:
    r"""Every group weighs the same, however many samples it has.

    .. math:: w_i = \frac{N}{G \, n_{g(i)}}

    with :math:`n_g` of N samples in group g, of G groups. Importance weighting, which
    Sagawa et al. 2020 (``sagawa2020``) compare with.

    Attributes
    ----------
    by : {"site", "label", "site-label"}
        What makes a group. By site and label, no site tells anything of the label in
        the weighted samples, unless it has one label only: then nothing can.
    """

    by: Literal["site", "label", "site-label"] = "site"

    def __init_subclass__(cls) -> None:
        GROUPS[cls.__name__] = cls

    def __post_init__(self) -> None:
        if self.by not in ("site", "label", "site-label"):
            raise ValueError(
                f"by is {self.by!r}; it takes 'site', 'label' or 'site-label'."
            )

    def shares(self, counts: Tensor) -> Tensor:
        """How much each group weighs before the first step, summing to one."""
        return torch.full_like(counts, 1 / len(counts))

    def weights(
        self, shares: Tensor, counts: Tensor, losses: Tensor, here: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shares of the groups after a batch, and what a sample of each weighs in it.

        Parameters
        ----------
        shares, counts : Tensor of shape (G,)
            Before the batch; numbers of samples in the training.
        losses, here : Tensor of shape (G,)
            Sums of cross entropy, and numbers of samples, in the batch.
        """
        return shares, counts.sum() * shares / counts


GROUPS["GroupBalanced"] = GroupBalanced


@dataclass(frozen=True)
class GroupDRO(GroupBalanced):
    r"""The group that is classified worst weighs most.

    Group distributionally robust optimization, algorithm 1 of Sagawa et al. 2020
    (``sagawa2020``): with :math:`L_g` the mean cross entropy of group g in a batch,

    .. math:: q_g \leftarrow \frac{q_g \exp(\eta (L_g + C / \sqrt{n_g}))}
        {\sum_h q_h \exp(\eta (L_h + C / \sqrt{n_h}))}, \qquad
        L = \sum_g q_g L_g

    where groups that are not in the batch have no loss. They find that it takes strong
    weight decay, or early stopping: where every training sample is fitted, no group is
    classified badly. Here the second sum is of the loss, guided or not; groups are
    judged by cross entropy.

    Attributes
    ----------
    step : float
        The :math:`\eta`.
    adjustment : float
        The C, which counts small groups as worse than they look.
    """

    step: float = 0.01
    adjustment: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("step", self.step)
        at_least("adjustment", self.adjustment)

    def weights(
        self, shares: Tensor, counts: Tensor, losses: Tensor, here: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shares of the groups after a batch, and what a sample of each weighs in it.

        See :meth:`GroupBalanced.weights`.
        """
        mean = losses / here.clamp(min=1)
        judged = torch.where(here > 0, mean + self.adjustment / counts.sqrt(), 0.0)
        shares = shares * (self.step * judged).exp()
        shares = shares / shares.sum()
        return shares, here.sum() * shares / here.clamp(min=1)


class Weigher:
    """Weights of the samples of a training, batch by batch.

    What it knows at the end of an epoch stands in the row of the history, from where a
    resumed training reads it.

    Parameters
    ----------
    settings : GroupBalanced, optional
        None where groups are of no concern.
    data : Dataset
        Of the training. For groups, it has ``site`` and ``labels`` as a
        :class:`~lrpbook_lib.data.SliceSet` has.
    rows : sequence of dict
        The history so far.
    """

    def __init__(
        self,
        settings: GroupBalanced | None,
        data: Any,
        rows: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.settings = settings
        if settings is None:
            return
        self.names, numbers = groups_of(data, settings.by)
        self.number = torch.from_numpy(numbers)
        self.counts = torch.bincount(self.number).double()
        self.shares = settings.shares(self.counts)
        if rows:
            known = [rows[-1][name] for name in self.names]
            self.shares = torch.tensor(known, dtype=torch.double)

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Tensor], ce: Tensor, fabric: Any) -> Tensor:
        """Weights ``(B,)`` of a batch, from the cross entropy ``(B,)`` of its samples.

        Parameters
        ----------
        batch : mapping
            With ``index``, the positions in the training data, and maybe ``weight``.
        ce : Tensor of shape (B,)
        fabric : Fabric
            Joins what processes have of the batch.
        """
        given = batch.get("weight")
        weight = torch.ones_like(ce) if given is None else given.to(ce)
        if self.settings is None:
            return weight
        group = self.number[batch["index"]].to(ce.device)
        sums = torch.zeros(2, len(self.names), dtype=torch.double, device=ce.device)
        sums[0].index_add_(0, group, ce.double())
        sums[1].index_add_(0, group, torch.ones_like(ce).double())
        losses, here = fabric.all_reduce(sums, reduce_op="sum")
        known = self.shares.to(ce.device), self.counts.to(ce.device)
        self.shares, each = self.settings.weights(*known, losses, here)
        return weight * each[group].to(weight.dtype)

    def row(self) -> dict[str, float]:
        """Shares of the groups, for the history: ``share_A`` and so on."""
        if self.settings is None:
            return {}
        return dict(zip(self.names, self.shares.tolist(), strict=True))


def groups_of(data: Any, by: str) -> tuple[list[str], np.ndarray]:
    """Columns of the history named after the groups, and the group of each sample."""
    wanted = {"site": "site", "label": "labels"}
    missing = [wanted[w] for w in by.split("-") if not hasattr(data, wanted[w])]
    if missing:
        raise ValueError(
            f"Groups by {by} want data that tell {' and '.join(missing)} of every "
            "sample, as a SliceSet does."
        )
    parts: list[Any] = []
    if "site" in by:
        parts.append(np.asarray(data.site).astype(str))
    if "label" in by:
        named = dict(enumerate(getattr(data, "classes", ())))
        parts.append([named.get(k, str(k)) for k in np.asarray(data.labels).tolist()])
    names = ["_".join(["share", *each]) for each in zip(*parts, strict=True)]
    known, numbers = np.unique(names, return_inverse=True)
    return known.tolist(), numbers
