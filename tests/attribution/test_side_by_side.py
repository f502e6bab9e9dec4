"""The common list of explainers, and measures of maps that are known by hand."""

import pytest
import torch
from torch import nn

from lrpbook_lib.attribution import (
    SIDE_BY_SIDE,
    Method,
    explainer,
    faithfulness_correlation,
    flip_regions,
    measure_maps,
)
from lrpbook_lib.models import GliomaCNN

from .small import Linear, Says, noise

WEIGHT = torch.zeros(1, 16, 16)
WEIGHT[:, 4:8, 4:8] = 0.1
MODEL = Linear(WEIGHT)
X = noise(6, 1, 16, 16) + 20 * WEIGHT  # bright where it counts
Y = torch.zeros(6, dtype=torch.long)
TUMOR = (WEIGHT > 0).expand(6, 16, 16)
BRAIN = torch.ones(6, 16, 16, dtype=torch.bool)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return GliomaCNN(2, 2, 16).eval()


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_every_method_answers_alike(name, network):
    explain = SIDE_BY_SIDE[name].of(network)
    x, y = noise(2, 2, 16, 16), torch.tensor([0, 1])
    state = torch.get_rng_state()
    logits, heat = explain(x, y)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(logits, network(x))
    assert heat.shape == (2, 1, 16, 16) and heat.isfinite().all()
    torch.testing.assert_close(explain(x, y)[1], heat)
    if not SIDE_BY_SIDE[name].signed:
        assert (heat >= 0).all()
    assert SIDE_BY_SIDE[name].assumes


def test_a_map_of_what_is_used_wins_each_measure():
    """A linear network of a square: its contributions are x w, and no map is better."""
    right = measure_maps(Says(MODEL, lambda x: x * WEIGHT), X, Y, TUMOR, BRAIN)
    wrong = measure_maps(Says(MODEL, lambda x: x * (WEIGHT == 0)), X, Y, TUMOR, BRAIN)
    blind = measure_maps(SIDE_BY_SIDE["random"].of(MODEL), X, Y, TUMOR, BRAIN)
    for name in ("score", "mass", "rank", "pointing"):
        assert (right[name] == 1).all() and (wrong[name] == 0).all()
    assert torch.allclose(right["chance"], torch.tensor(16 / 256))
    assert abs(float(blind["score"].mean()) - 16 / 256) < 0.02
    for name in ("abpc", "insertion", "faithfulness"):
        assert (right[name] > blind[name]).all() and (blind[name] >= wrong[name]).all()
    assert (right["sparseness"] > blind["sparseness"]).all()
    for name in ("deletion", "infidelity", "complexity"):
        assert (right[name] < blind[name]).all()
    assert right["completeness"].max() < 1e-5
    assert right["faithfulness"].min() > 0.99
    flipped = flip_regions(MODEL, X, X * WEIGHT, Y)
    torch.testing.assert_close(right["abpc"], flipped.abpc)
    found = faithfulness_correlation(MODEL, X, X * WEIGHT, Y)
    torch.testing.assert_close(right["faithfulness"], found)


def test_grad_cam_plus_plus_by_hand():
    torch.manual_seed(3)
    convolution = nn.Conv2d(2, 4, 3, padding=1)
    model = nn.Sequential(
        convolution, nn.Tanh(), nn.Flatten(), nn.Linear(4 * 64, 3)
    ).double()
    x = noise(2, 2, 8, 8).double()
    _, cam = explainer(model, "gradcam++", layer="0")(x, 1)
    features = convolution(x).detach().requires_grad_()
    said = model[3](features.tanh().flatten(1))[:, 1].sum()
    (g,) = torch.autograd.grad(said, features)
    for b in range(2):
        want = torch.zeros(8, 8, dtype=torch.float64)
        for c in range(4):
            total, weight = features[b, c].sum(), 0.0
            for value in g[b, c].flatten():
                share = value**2 / (2 * value**2 + total * value**3)
                weight = weight + share * max(float(value), 0.0)
            want += weight * features[b, c]
        torch.testing.assert_close(cam[b, 0], want.clamp(min=0))


def test_smoothgrad_is_the_smoothed_gradient(network):
    x = noise(2, 2, 16, 16)
    with torch.no_grad():
        _, plain = explainer(network, "gradient")(x, 1)
        _, still = explainer(network, "smoothgrad", draws=3, noise=0)(x, 1)
        _, moved = explainer(network, "smoothgrad", draws=3)(x, 1)
    torch.testing.assert_close(still, plain)
    assert not torch.allclose(moved, plain)


def test_sampling_follows_its_seed(network):
    x = noise(1, 2, 16, 16)
    settings = {"n_samples": 20}
    one, same, other = (
        explainer(network, "captum:KernelShap", seed=seed, **settings)(x, 1)[1]
        for seed in (0, 0, 1)
    )
    torch.testing.assert_close(one, same)
    assert not torch.allclose(one, other)


def test_a_method_of_one_s_own(network):
    method = Method("captum:Occlusion", {"patch": 4}, signed=False)
    assert (method.of(network)(noise(1, 2, 16, 16), 0)[1] >= 0).all()
