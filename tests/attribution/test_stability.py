"""Agreement of maps against scipy, and maps that move with the image."""

import math

import torch
from scipy.stats import spearmanr

from lrpbook_lib.attribution import (
    Smoothed,
    agreement,
    explainer,
    max_sensitivity,
    random_map,
    rank_correlation,
)
from lrpbook_lib.models import GliomaCNN

from .small import Linear, Says, noise

MODEL = Linear(noise(1, 6, 6))


def test_rank_correlation_is_scipys():
    a = (noise(5, 2, 8, 8) * 6).floor()  # with many ties
    b = (noise(5, 1, 8, 8, seed=1) * 4).floor() + a[:, :1]
    for absolute in (False, True):
        found = rank_correlation(a - 3, b - 4, absolute)
        for i in range(5):
            one, two = (m[i].sum(0).flatten() for m in (a - 3, b - 4))
            if absolute:
                one, two = one.abs(), two.abs()
            assert abs(found[i] - spearmanr(one, two).statistic) < 1e-5


def test_agreement_matrix():
    heat = noise(3, 1, 16, 16)
    rising = heat**3 + 5  # the same order
    blind = random_map(heat, seed=7)
    found = agreement([heat, rising, -heat, blind, heat * 0 + 0.3])
    assert found.shape == (3, 5, 5)
    torch.testing.assert_close(found, found.mT)
    want = torch.tensor([[1.0, 1, -1], [1, 1, -1], [-1, -1, 1]]).expand(3, 3, 3)
    torch.testing.assert_close(found[:, :3, :3], want)
    assert found[:, 0, 3].abs().max() < 0.2  # chance
    assert (found[:, 4] == 0).all()  # a map that says nothing agrees with none
    across = agreement([heat, blind], [rising])
    torch.testing.assert_close(across, found[:, [0, 3], 1:2])


def test_max_sensitivity_by_hand():
    x = noise(4, 1, 6, 6)
    draws = torch.Generator().manual_seed(5)
    deltas = [0.1 * (2 * torch.rand(x.shape, generator=draws) - 1) for _ in range(6)]
    norm = torch.stack([d.flatten(1).norm(dim=1) for d in deltas]).amax(0)
    same = max_sensitivity(Says(MODEL, lambda x: x), x, radius=0.1, draws=6, seed=5)
    torch.testing.assert_close(same, norm / x.flatten(1).norm(dim=1))
    still = Says(MODEL, torch.ones_like)
    assert (max_sensitivity(still, x) == 0).all()
    jumpy = Says(MODEL, lambda x: (x * 1e6).sin())  # as good as independent noise
    found = max_sensitivity(jumpy, x, draws=1)
    assert abs(found.mean() - math.sqrt(2)) < 0.15


def test_the_class_stays_that_of_the_image_without_noise():
    class Target(Says):
        def forward(self, x, target=None):
            seen.append(target)
            return super().forward(x, target)

    seen, x = [], torch.full((2, 1, 6, 6), 1e-3)
    max_sensitivity(Target(MODEL, lambda x: x), x, radius=1, draws=3)
    assert seen[0] is None and all((t == 0).all() for t in seen[1:])
    Smoothed(Target(MODEL, lambda x: x), draws=3)(x)
    assert all((t == 0).all() for t in seen[1:])


def test_smoothed():
    torch.manual_seed(0)
    model, x = GliomaCNN(1, 2, 16).eval(), noise(2, 1, 16, 16)
    plain = explainer(model, "epsilon-plus")
    logits, heat = plain(x)
    same = Smoothed(plain, draws=2, noise=0)
    assert same.model is model
    torch.testing.assert_close(same(x), (logits, heat), rtol=1e-3, atol=1e-5)
    moving = Smoothed(Says(model, lambda x: x), draws=400, noise=0.1)
    found = moving(2 * x)[1] - 2 * x
    width = 2 * (x.flatten(1).amax(1) - x.flatten(1).amin(1))
    spread = found.flatten(1).std(1) * math.sqrt(400) / width
    torch.testing.assert_close(spread, torch.full((2,), 0.1), rtol=0.1, atol=0)
    assert (moving(x)[1] == moving(x)[1]).all()
    assert Smoothed(plain, draws=2)(x, 1)[1].requires_grad  # a loss may stand on it
