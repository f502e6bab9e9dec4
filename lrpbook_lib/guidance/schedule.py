"""How the strength of guidance changes in the course of training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .loss import at_least


@dataclass(frozen=True)
class Schedule:
    r"""A factor on the strength of a loss, as a function of the epoch :math:`t`.

    .. math:: w(t) = \min\left(1, \frac{t - d}{u}\right)^+ \cdot
        2^{-(t - d - u)^+ / h}

    and zero from epoch :math:`e` on, and in every other stretch of :math:`p` epochs
    after the delay.

    Attributes
    ----------
    delay : float
        Epochs d on cross entropy alone.
    warmup : float
        Epochs u in which guidance rises in a line to its full strength.
    half_life : float
        Epochs h in which it then falls to half; infinite for never.
    until : float
        Epoch e at which it ends.
    pulse : float
        Epochs p for which it is on, then off, then on; infinite for always on.
    """

    delay: float = 0.0
    warmup: float = 0.0
    half_life: float = math.inf
    until: float = math.inf
    pulse: float = math.inf

    def __post_init__(self) -> None:
        at_least("delay", self.delay)
        at_least("warmup", self.warmup)
        for name in ("half_life", "until", "pulse"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above zero.")

    def __call__(self, epoch: float) -> float:
        """The factor, from 0 to 1; ``epoch`` may lie between two epochs."""
        since = epoch - self.delay
        if since < 0 or epoch >= self.until or since // self.pulse % 2:
            return 0.0
        rising = since / self.warmup if since < self.warmup else 1.0
        return rising * 2.0 ** (-max(since - self.warmup, 0.0) / self.half_life)
