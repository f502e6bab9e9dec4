"""Where relevance starts: which output, and how much of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from .errors import LRPError

Start = Literal["logit", "one", "softmax", "difference"]
STARTS = ("logit", "one", "softmax", "difference")


def start_relevance(
    start: Start, target: Tensor | int | None
) -> Callable[[Tensor], Tensor]:
    r"""The relevance of the output, as a function of the output.

    Parameters
    ----------
    start : {"logit", "one", "softmax", "difference"}
        With :math:`z` the logits, :math:`c` the target, :math:`p` the softmax:

        ``"logit"``: :math:`R_c = z_c`, so that relevance sums to the logit. A negative
        logit flips the sign of the map.
        ``"one"``: :math:`R_c = 1`, whatever the sign of the logit.
        ``"softmax"``: :math:`R_k = p_k` for every class (Graz+), which says nothing
        about one class; with a target, :math:`R_c = p_c` alone.
        ``"difference"``: :math:`R_c = z_c, R_r = -z_r` with :math:`r` the strongest
        other class, so that relevance sums to :math:`z_c - z_r`.
    target : Tensor, int or None
        Class indices ``(B,)`` or one index, a start relevance shaped like the output,
        or None for the predicted class. For outputs ``(B, C, *)``, such as a
        segmentation, indices ``(B,)`` or ``(B, *)``.

    Returns
    -------
    callable
        From the output ``(B, C, *)`` to its relevance, of the same shape.
    """

    def of(z: Tensor) -> Tensor:
        if isinstance(target, Tensor) and target.is_floating_point():
            if target.shape != z.shape:
                raise LRPError(
                    f"target is a start relevance of shape {tuple(target.shape)}, but "
                    f"the output has shape {tuple(z.shape)}. Class indices are "
                    "integers of shape (B,)."
                )
            return target.to(z.dtype)
        if z.ndim < 2:
            raise LRPError(
                f"The output has shape {tuple(z.shape)}; there is no class dimension "
                "(B, C) to pick a target from. Give a start relevance of that shape."
            )
        if start == "softmax" and target is None:
            return z.softmax(1)
        chosen = one_hot(z, target)
        if start == "one":
            return chosen
        if start == "softmax":
            return chosen * z.softmax(1)
        if start == "difference":
            others = z.detach().masked_fill(chosen > 0, float("-inf"))
            return chosen * z - one_hot(z, others.argmax(1)) * z
        return chosen * z

    return of


def one_hot(z: Tensor, target: Tensor | int | None) -> Tensor:
    """One at the target class, zero elsewhere, shaped like the output ``z``."""
    if target is None:
        index = z.detach().argmax(1)
    elif isinstance(target, int):
        index = torch.full_like(z[:, 0], target, dtype=torch.long)
    else:
        index = target.long()
        index = index.reshape(-1, *index.shape[1:])  # one index stands for all
        index = index.reshape(*index.shape, *[1] * (z.ndim - 1 - index.ndim))
        index = index.expand(z.shape[0], *z.shape[2:])
    classes = torch.arange(z.shape[1], device=z.device)
    classes = classes.reshape(1, -1, *[1] * (z.ndim - 2))
    return (index.unsqueeze(1) == classes).to(z.dtype)
