"""Images as a CPU likes them in memory, at no change of a number."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


def channels_last(x: Tensor) -> Tensor:
    """The same images, on a CPU with their channels innermost in memory.

    Parameters
    ----------
    x : Tensor of shape ``(B, C, *space)``
    """
    if x.ndim not in (4, 5) or x.device.type != "cpu":
        return x
    if x.shape[1] == 1:  # lies in either layout already; say which one is meant
        return x[:, 0, ..., None].movedim(-1, 1)
    formats: Any = {4: torch.channels_last, 5: torch.channels_last_3d}
    return x.contiguous(memory_format=formats[x.ndim])


class AxisOrder(TorchFunctionMode):
    """Within, dropout draws in the order of the axes and not of the memory.

    A layout would else change which activations a seed drops.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch, dropout in its own way."""
        function = _dropout if function is F.dropout else function
        return function(*args, **(kwargs or {}))


def _dropout(
    x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not training or not 0 < p < 1 or x.device.type != "cpu":
        return F.dropout(x, p, training, inplace)
    kept = torch.empty(x.shape, dtype=x.dtype, device=x.device).bernoulli_(1 - p)
    kept = kept.div_(1 - p)
    return x.mul_(kept) if inplace else x * kept
