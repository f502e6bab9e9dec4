"""Pooling and resampling.

Averages are linear and have no negative weights: the rule for pooling applies. In max
pooling the winner takes all; among equals the first one wins, in the forward pass as in
the relevance pass, so that nothing is counted twice and nothing is lost.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import LRPError
from ...layers import fixed
from ...won import Won
from ..rows import Sends, of, row, word
from ..spelling import Page
from ..trace import Step
from . import windows
from .elementwise import as_input

word(fixed)


def _window(
    a: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Any, ...]:
    """Settings of max pooling, a number for each dimension."""
    given = (kernel_size, stride or kernel_size, padding, dilation)
    each = [[v] * (a.ndim - 2) if isinstance(v, int) else list(v) for v in given]
    return *each, ceil_mode


def _apart(
    size: list[int], step: list[int], pad: list[int], dilation: list[int], ceil: bool
) -> bool:
    """Whether windows are small and stand flush side by side."""
    flush = not any(pad) and all(d == 1 for d in dilation) and not ceil
    return size == step and flush and math.prod(size) <= 27


@word
def max_pool(a: Tensor, **settings: Any) -> tuple[Tensor, Tensor | list[Tensor]]:
    """Max pooling in one to three dimensions, and who won each window."""
    window = _window(a, **settings)
    if windows.fusing() and _apart(*window):
        pool = windows.pool_whole if windows.training_on_cpu(a) else windows.pool_apart
        return pool(a, window[0])
    kernel: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[a.ndim - 3]
    return kernel(a, *window, return_indices=True)


@word
def adaptive_max_pool(a: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """Adaptive max pooling, and the index of each winner."""
    pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
    return pool[a.ndim - 3](a, output_size, return_indices=True)


@word
def won(
    a: Tensor, R: Tensor, indices: Tensor | list[Tensor], **settings: Any
) -> Tensor | Won:
    """As :func:`winners`, not yet spread: a rule comes next, and divides first."""
    if windows.fusing():
        return winners(a, R, indices, **settings)
    return Won.of(R, indices, a)  # type: ignore[arg-type]


@word
def winners(
    a: Tensor, R: Tensor, indices: Tensor | list[Tensor], **settings: Any
) -> Tensor:
    """Undo max pooling: the winner of each window takes all of its relevance."""
    if isinstance(indices, list):
        return windows.winners_apart(a, R, indices, _window(a, **settings)[0])
    if settings and windows.fusing() and R.shape[0] == a.shape[0]:
        window = _window(a, **settings)
        if _apart(*window) and windows.training_on_cpu(a):
            return windows.unpool_whole(R, a, indices, window[0])
    return Won.of(R, indices, a).spread(R)


def _to_winners(template: str, page: Page, step: Step, R: str) -> Sends:
    if step.settings["return_indices"]:
        raise LRPError(
            f"{step.name!r} returns the indices of its winners; relevance keeps "
            "its own. Leave return_indices out."
        )
    return [(step.operand, page.fill(template, step, R))]


_BACK = "winners(a={a}, R={R}, indices={z}_winners"
_UNDIVIDED = "won(a={a}, R={R}, indices={z}_winners"
row(
    *of(nn, "MaxPool?d"),
    *of(F, "max_pool?d"),
    *of(torch, "max_pool?d"),
    forward="{z}, {z}_winners = max_pool({a}, {settings})",
    backward=functools.partial(_to_winners, _BACK + ", {settings})"),
    undivided=functools.partial(_to_winners, _UNDIVIDED + ", {settings})"),
    settings={
        **{"kernel_size": ..., "stride": None, "padding": 0, "dilation": 1},
        **{"ceil_mode": False, "return_indices": False},
    },
    nonnegative=as_input,
)
row(
    *of(nn, "AdaptiveMaxPool?d"),
    *of(F, "adaptive_max_pool?d"),
    forward="{z}, {z}_winners = adaptive_max_pool({a}, {settings})",
    backward=functools.partial(_to_winners, _BACK + ")"),
    undivided=functools.partial(_to_winners, _UNDIVIDED + ")"),
    settings={"output_size": ..., "return_indices": False},
    nonnegative=as_input,
)


def _mixes(step: Step, holds: Callable[[Any], bool]) -> bool:
    return step.settings["mode"] != "bicubic" and holds(step.operand)


_AVERAGES = ("AvgPool?d", "AdaptiveAvgPool?d", "Upsample")
_CALLS = ("avg_pool?d", "adaptive_avg_pool?d", "interpolate")
for keys, layer in (
    (of(nn, *_AVERAGES), "fixed({module}, {a})"),
    (of(F, *_CALLS), "fixed(lambda h: {call}, {a})"),
):
    row(
        *keys,
        kind="pool",
        layer=layer,
        settings={"size": None, "scale_factor": None, "mode": "nearest"},
        nonnegative=_mixes,
    )
