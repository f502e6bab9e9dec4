"""Relevance behind a max pooling: at the winners alone, until a rule has divided.

Of each window only the winner has relevance, and where there is none, a rule has
nothing to divide. It therefore looks up its denominators at the winners, divides a
quarter of the numbers (or fewer, with larger windows), and spreads the quotients. The
result is the same to the last bit, and the gradient has as much less to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Won:
    """Relevance of the winners of a max pooling.

    Attributes
    ----------
    R : Tensor of shape ``(B, C, *windows)``
        Or, where the pooled input is one sample, ``(M, C, *windows)``.
    indices : Tensor of shape ``(B, C, *windows)``
        Where the winner of each window stands in the flattened space.
    space : tuple of int
        The size of the pooled input.
    last : bool
        Whether that input has its channels last in memory, as what is made here then.
    """

    R: Tensor
    indices: Tensor
    space: tuple[int, ...]
    last: bool

    @classmethod
    def of(cls, R: Tensor, indices: Tensor, a: Tensor) -> Won:
        """Relevance of the winners in ``a``."""
        return cls(R, indices, tuple(a.shape[2:]), a.stride(1) == 1)

    @property
    def dtype(self) -> torch.dtype:
        """That of the relevance."""
        return self.R.dtype

    @property
    def device(self) -> Any:
        """That of the relevance."""
        return self.R.device

    def at(self, values: Tensor) -> Tensor:
        """What stands at the winners: ``(B, C, *space)`` to ``(B, C, *windows)``."""
        rows = max(len(values), len(self.indices))
        found = self._flat(values.expand(rows, *values.shape[1:])).gather(
            self._dim, self._flat(self.indices.expand(rows, *self.indices.shape[1:]))
        )
        return self._unflat(found, self.indices.shape[2:])

    def spread(self, values: Tensor) -> Tensor:
        """From the winners to their places, zero elsewhere; two windows may add up."""
        flat = self._flat(values)
        shape = list(flat.shape)
        shape[self._dim] = math.prod(self.space)
        places = self._flat(self.indices.expand(values.shape))
        # In place: on a CPU six times as fast as a copy with the sums in it.
        out = flat.new_zeros(shape).scatter_add_(self._dim, places, flat)
        return self._unflat(out, self.space)

    @property
    def _dim(self) -> int:
        return 1 if self.last else 2

    def _flat(self, t: Tensor) -> Tensor:
        """One dimension for all of space; no copy where the layout is as it says."""
        flat = t.flatten(2)
        return flat.transpose(1, 2) if self.last else flat

    def _unflat(self, t: Tensor, space: tuple[int, ...]) -> Tensor:
        return (t.transpose(1, 2) if self.last else t).unflatten(2, space)
