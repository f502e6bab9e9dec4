"""A problem small enough for tests: a spot in a disk, brighter in one class."""

import numpy as np
import torch

from lrpbook_lib.data import SliceSet
from lrpbook_lib.models import GliomaCNN

SIZE = 16


def spots(samples=48, seed=0):
    """Slices of a round brain with a spot, the second class brighter, two a patient.

    The first channel tells the class by its level, too: a confounder outside the spot.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    label = np.arange(samples) // 2 % 2
    center = rng.uniform(0.35 * SIZE, 0.65 * SIZE, (samples, 2, 1, 1))
    tumor = (y - center[:, 0]) ** 2 + (x - center[:, 1]) ** 2 < (0.16 * SIZE) ** 2
    middle = SIZE / 2 - 0.5
    brain = (y - middle) ** 2 + (x - middle) ** 2 < (0.45 * SIZE) ** 2
    brain = np.repeat(brain[None], samples, 0)
    images = 0.5 + 0.25 * rng.standard_normal((samples, 3, SIZE, SIZE))
    images += tumor[:, None] * (0.2 + 0.6 * label)[:, None, None, None]
    images[:, 0] += (0.3 * label - 0.15)[:, None, None]
    return SliceSet.from_arrays(
        images * brain[:, None],
        label,
        tumor,
        brain,
        [f"p{i // 2}" for i in range(samples)],
        [f"site{i // 2 % 4 // 2}" for i in range(samples)],
        classes=("LGG", "HGG"),
    )


def network(seed=0, classes=2):
    torch.manual_seed(seed)
    return GliomaCNN(classes=classes, size=SIZE)


def same_numbers(one, other):
    """Histories that agree in every bit, but for the clock."""
    clocks = ["seconds", "cpu_seconds"]
    left, right = (h.drop(columns=clocks).to_numpy() for h in (one, other))
    return left.shape == right.shape and np.array_equal(left, right, equal_nan=True)
