"""Time several things side by side, so that a noisy machine is noisy for all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable
from typing import TypeVar

import torch
from torch.utils.benchmark import Timer

Name = TypeVar("Name", bound=Hashable)


def side_by_side(
    tasks: dict[Name, Callable[[], object]], seconds: float = 12.0
) -> dict[Name, list[float]]:
    """Seconds of every task, round after round: once each, then once more each.

    A round's times are comparable with each other, and so are their ratios, even where
    the machine is slower in one round than in the next.
    """
    timers = {
        name: Timer(
            "task()", globals={"task": task}, num_threads=torch.get_num_threads()
        )
        for name, task in tasks.items()
    }
    for timer in timers.values():  # compile, allocate, warm the caches
        timer.timeit(2)
    times: dict[Name, list[float]] = {name: [] for name in tasks}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[next(iter(tasks))]) < 3:
        for name, timer in timers.items():
            times[name].append(timer.timeit(1).median)
    return times


def ratio(times: dict[Name, list[float]], task: Name, against: Name) -> float:
    """Median over rounds of the ratio within a round."""
    pairs = zip(times[task], times[against], strict=True)
    return statistics.median(a / b for a, b in pairs)


def milliseconds(times: dict[Name, list[float]], task: Name) -> float:
    """Median time of a task."""
    return 1000 * statistics.median(times[task])
