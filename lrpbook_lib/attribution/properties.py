"""What a map is by itself: how spread out, how complete, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry as operations

from .interventions import answer_for, chosen


def completeness_error(
    relevance: Tensor, logits: Tensor, target: Tensor | int | None = None
) -> Tensor:
    r"""How far a map is from adding up to the logit, :math:`|\sum R - z_t| / |z_t|`.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``
    logits : Tensor of shape (B, classes)
    target : Tensor of shape (B,) or int, optional
        Default the predicted class.

    Returns
    -------
    Tensor of shape (B,)
    """
    logit = answer_for(logits, chosen(logits, target), "logit")
    return (relevance.flatten(1).sum(1) - logit).abs() / logit.abs().clamp(min=1e-12)


def complexity(relevance: Tensor) -> Tensor:
    r"""Entropy of where the map is, in nats.

    .. math:: -\sum_i p_i \ln p_i, \qquad p_i = |R_i| / \sum_j |R_j|

    Bhatt et al. 2020 (``bhatt2020``), after channels are summed. Of N pixels, one alone
    has 0, a uniform map :math:`\ln N`, uniform noise
    :math:`\ln N - \ln 2 + \frac{1}{2}`.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``

    Returns
    -------
    Tensor of shape (B,)
        Zero for a map of zeros.
    """
    heat = relevance.sum(1).flatten(1).abs()
    total = heat.sum(1, keepdim=True)
    return torch.special.entr(heat / total.where(total > 0, 1.0)).sum(1)


def sparseness(relevance: Tensor) -> Tensor:
    r"""Gini index of the map.

    .. math:: 1 - 2 \sum_{k=1}^{N} \frac{|R|_{(k)}}{\sum_j |R|_j}
        \cdot \frac{N - k + \frac{1}{2}}{N}

    with :math:`|R|_{(k)}` in ascending order. Chalasani et al. 2020
    (``chalasani2020``), after channels are summed. A uniform map has 0, uniform noise
    1/3, one pixel alone :math:`1 - 1/N`.

    Parameters
    ----------
    relevance : Tensor of shape ``(B, C, *space)``

    Returns
    -------
    Tensor of shape (B,)
        Zero for a map of zeros.
    """
    heat = relevance.sum(1).flatten(1).abs().sort(1).values
    total, n = heat.sum(1), heat.shape[1]
    weight = (n - torch.arange(1, n + 1, device=heat.device) + 0.5) / n
    gini = 1 - 2 * (heat * weight).sum(1) / total.where(total > 0, 1.0)
    return torch.where(total > 0, gini, 0.0)


@dataclass(frozen=True)
class Cost:
    """What a map costs, in forward passes of the same images.

    Attributes
    ----------
    work : float
        By multiplications and additions of matrices and convolutions: the same on
        every machine.
    time : float
        By the clock of this machine.
    """

    work: float
    time: float


class _Work(TorchDispatchMode):
    """Counts as torch's ``FlopCounterMode``, whose hooks break ``autograd.grad``."""

    done: float = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := operations.get(func._overloadpacket):
            self.done += count(*args, **(kwargs or {}), out_val=out)
        return out


def cost(
    explainer: Any, x: Tensor, target: Tensor | int | None = None, repeats: int = 3
) -> Cost:
    """What an explainer costs, in forward passes of its model.

    Parameters
    ----------
    explainer : nn.Module
        With the model as ``explainer.model``.
    x : Tensor of shape ``(B, C, *space)``
    target : Tensor of shape (B,) or int, optional
    repeats : int
        The time is the median of so many, after one that does not count.
    """

    @torch.no_grad()
    def work(run: Callable[[], object]) -> float:
        with _Work() as counter:
            run()
        return counter.done

    @torch.no_grad()
    def seconds(run: Callable[[], object]) -> float:
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            if x.is_cuda:
                torch.cuda.synchronize(x.device)
            taken.append(time.perf_counter() - start)
        return median(taken)

    passes = (lambda: explainer(x, target), lambda: explainer.model(x))
    done, once = (work(run) for run in passes)
    taken, single = (seconds(run) for run in passes)
    return Cost(done / once, taken / single)
