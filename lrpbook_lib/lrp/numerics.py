"""Small arithmetic that rules and programs share.

Relevance ``R`` may have more rows than the activation ``a`` when ``a`` holds one sample
and ``R`` one start per neuron (see BiLRP).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

#: Keeps a division by an exact zero finite where no rule brings its own stabilizer.
EPSILON = 1e-6


def stabilize(z: Tensor, epsilon: float | Tensor = EPSILON) -> Tensor:
    r""":math:`z + \epsilon\,\mathrm{sign}(z)`, with the sign of zero taken as one."""
    return torch.where(z >= 0, z + epsilon, z - epsilon)


def rows_of(R: Tensor, a: Tensor) -> tuple[int, ...]:
    """The shape of ``a``, with as many rows as there are starts for its one sample."""
    if R.shape[0] == a.shape[0] or a.shape[0] != 1:
        return tuple(a.shape)
    return (R.shape[0], *a.shape[1:])


def undo(map: Callable[[Tensor], Any], a: Tensor, R: Tensor) -> Tensor:
    """``map`` transposed at ``R``; ``map`` is linear and only moves or sums entries.

    Used for slices, permutations, padding, shuffles and the like: each output entry is
    a copy of an input entry, so its relevance goes back to where it came from.
    """
    # A linear map has the same transpose everywhere; zeros carry no history along.
    at = torch.zeros(rows_of(R, a), dtype=R.dtype, device=R.device)
    return torch.func.vjp(map, at)[1](R)[0]
