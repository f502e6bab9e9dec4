"""Where a network sees the scanner: in the tumor, or around it.

A map in the tumor says that a network looks there, not that it looks at the tumor: the
scanner's hand is in the tumor's pixels, too. Twins of one person with one tumor at two
sites differ in the scanner alone; the tumor of one is therefore set into the brain of
the other, and both scanners vary by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from lrpbook_lib.attribution.maps import evaluation_form
from lrpbook_lib.data import SliceSet, twin_facts

from .comparison import compare
from .memory import channels_last
from .twins import variance_shares

#: The share of each main effect: grade, both scanners, person.
CROSSED = {
    "by_grade": "grade",
    "by_scanner_around": "site",
    "by_scanner_in_tumor": "tumor_site",
    "by_person": "person",
}


@torch.no_grad()
def cross(network: nn.Module, twins: SliceSet, people: int = 10) -> pd.DataFrame:
    r"""What a network says of every tumor in every brain of the same person.

    .. math:: x_{st} = M x_t + (1 - M) x_s

    with twins of one person and grade at the sites s and t, whose tumor masks M are the
    same.

    Parameters
    ----------
    network : nn.Module
        Of two classes.
    twins : SliceSet
        Of a phantom that was made with ``twins``, as the network sees them.
    people : int
        How many of the people, the first ones.

    Returns
    -------
    DataFrame
        A row a person, ``grade``, ``site`` (around) and ``tumor_site``: the mean
        ``logit`` over the slices, :math:`\log p_1 / p_0`.
    """
    facts = twin_facts(twins)
    first = facts["person"].isin(sorted(facts["person"].unique())[:people])
    rows = []
    with evaluation_form(network):
        for (person, grade), mine in facts[first].groupby(["person", "grade"]):
            sites = list(mine.groupby("site").groups.items())
            images = np.stack([np.asarray(twins.images[list(i)]) for _, i in sites])
            masks = np.stack([np.asarray(twins.tumor[list(i)]) > 0 for _, i in sites])
            if (masks != masks[0]).any():
                raise ValueError(f"The tumors of person {person} are not where it was.")
            x, mask = torch.from_numpy(images), torch.from_numpy(masks[0])[:, None]
            pairs = torch.where(mask, x[None], x[:, None])  # (around, tumor, slices)
            logits = network(channels_last(pairs.flatten(0, 2)))
            said = (logits[:, 1] - logits[:, 0]).unflatten(0, pairs.shape[:3]).mean(2)
            who = {"person": person, "grade": grade}
            rows += [
                {**who, "site": s, "tumor_site": t, "logit": float(said[i, j])}
                for i, (s, _) in enumerate(sites)
                for j, (t, _) in enumerate(sites)
            ]
    return pd.DataFrame(rows)


def compare_crossed(
    arms: Mapping[str, Sequence[pd.DataFrame]], against: str | None = None
) -> pd.DataFrame:
    """Shares of the logit's variance by each cause, arm by arm, as of ``compare``.

    Parameters
    ----------
    arms : mapping of str to sequence of DataFrame
        Of each run what :func:`cross` tells.
    against : str, optional
    """
    table = compare(arms, against, by="person", measure=crossed_shares)
    return table.assign(protocol="crossed")


def crossed_shares(table: pd.DataFrame, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Shares of the main effects under weights ``(draws, N)`` of the people."""
    return variance_shares(table, weight, CROSSED)
