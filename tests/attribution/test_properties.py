"""Measures of the map alone, by hand and by chance, and what a map costs."""

import math

import torch

from lrpbook_lib.attribution import (
    completeness_error,
    complexity,
    cost,
    explainer,
    random_map,
    sparseness,
)
from lrpbook_lib.models import GliomaCNN

from .small import Says, noise


def maps(*rows):
    return torch.tensor(rows)[:, None, None]


def test_entropy_and_gini_by_hand():
    heat = maps([0.0, 0, 0, -2], [1, 1, 1, 1], [1, -2, 3, 4], [0, 0, 0, 0])
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])
    want = torch.tensor([0, math.log(4), -(p * p.log()).sum(), 0])
    torch.testing.assert_close(complexity(heat), want)
    # Mean difference over twice the mean: for 1, 2, 3, 4 it is 20 / (16 * 5).
    torch.testing.assert_close(sparseness(heat), torch.tensor([0.75, 0, 0.25, 0]))
    split = torch.stack([2 * heat[:, 0], -heat[:, 0]], 1)  # channels are summed
    torch.testing.assert_close(complexity(split), complexity(heat))
    torch.testing.assert_close(sparseness(split), sparseness(heat))


def test_levels_of_noise():
    blind = random_map(torch.zeros(20, 3, 64, 64))
    level = math.log(64 * 64) - math.log(2) + 0.5
    assert abs(complexity(blind).mean() - level) < 0.01
    assert abs(sparseness(blind).mean() - 1 / 3) < 0.01


def test_completeness():
    logits = torch.tensor([[2.0, -4], [2, -4]])
    heat = torch.full((2, 2, 1, 2), 0.5)  # adds up to two
    assert completeness_error(heat, logits).tolist() == [0, 0]
    target = torch.tensor([0, 1])
    assert completeness_error(heat, logits, target).tolist() == [0, 1.5]
    assert completeness_error(heat, logits, 1).tolist() == [1.5, 1.5]


def test_cost_in_forward_passes():
    model, x = GliomaCNN(2, 2, 32).eval(), noise(4, 2, 32, 32)
    five = Says(model, lambda x: [model(x) for _ in range(4)].pop())
    found = cost(five, x)
    assert found.work == 5 and found.time > 0
    # Back through every layer once.
    assert 1.9 < cost(explainer(model, "gradient"), x).work < 2.1
    lrp = cost(explainer(model, "epsilon"), x)
    assert 2 <= lrp.work < 4 and lrp.time > 0
