"""Maps of networks that forget their weights."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from lrpbook_lib.attribution import (
    Smoothed,
    efficient_randomization,
    explainer,
    parameter_randomization,
)
from lrpbook_lib.attribution.randomization import forget, histogram_entropy
from lrpbook_lib.models import GliomaCNN

from .small import Says, noise

LAYERS = ["features.0", "features.4", "features.7", "features.10"]
LAYERS += ["classifier.1", "classifier.3"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return GliomaCNN(1, 2, 32).eval()


X = noise(4, 1, 32, 32)


def test_a_picture_of_the_image_passes_for_what_it_is(model):
    edges = Says(model, lambda x: x)
    for order in ("top_down", "bottom_up", "each"):
        found = parameter_randomization(edges, X, order=order)
        assert list(found) == (LAYERS[::-1] if order == "top_down" else LAYERS)
        for each in found.values():
            torch.testing.assert_close(each, torch.ones(4))
    assert (efficient_randomization(edges, X) == 0).all()


@pytest.mark.parametrize("name", ["gradient", "epsilon"])
def test_a_map_of_the_network_is_lost_and_the_network_is_not(model, name):
    explain = explainer(model, name)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    top = parameter_randomization(explain, X)
    bottom = parameter_randomization(explain, X, order="bottom_up")
    each = parameter_randomization(explain, X, order="each")
    # Maps with the image as a factor keep some of it, but for the sign.
    signed = parameter_randomization(explain, X, absolute=False)
    assert signed["features.0"].abs().mean() < 0.2
    # All layers gone is all layers gone; one layer gone is one layer gone.
    torch.testing.assert_close(top["features.0"], bottom["classifier.3"])
    torch.testing.assert_close(top["classifier.3"], each["classifier.3"])
    torch.testing.assert_close(bottom["features.0"], each["features.0"])
    again = parameter_randomization(explain, X)
    other = parameter_randomization(explain, X, seed=1)
    for name in LAYERS:
        assert (again[name] == top[name]).all()
        assert (other[name] != top[name]).any()
        assert top[name].shape == (4,)
    assert efficient_randomization(explain, X).shape == (4,)
    for name, value in model.state_dict().items():
        assert (value == before[name]).all()
    assert (torch.get_rng_state() == state).all()


def test_z_plus_hardly_notices_its_upper_layers(model):
    lost = {
        rules: parameter_randomization(explainer(model, rules), X, absolute=False)
        for rules in ("zplus", "epsilon")
    }
    half = "features.10"  # and all above it; a logit below zero turns the sign
    assert lost["zplus"][half].abs().min() > 0.95
    assert lost["epsilon"][half].abs().max() < 0.3


def test_the_smooth_form(model):
    smooth = Smoothed(explainer(model, "gradient"), draws=3)
    found = parameter_randomization(smooth, X, order="bottom_up")
    assert list(found) == LAYERS and found["classifier.3"].abs().mean() < 0.4
    with pytest.raises(ValueError, match="'sideways'; it takes"):
        parameter_randomization(smooth, X, order="sideways")


def test_entropy_of_values_by_hand():
    heat = torch.tensor([[0.0, 1, 2, 3], [0, 0, 0, 4], [7, 7, 7, 7]])[:, None, None]
    want = [math.log(4), -0.75 * math.log(0.75) - 0.25 * math.log(0.25), 0]
    torch.testing.assert_close(histogram_entropy(heat, 4), torch.tensor(want))
    flat = math.log(10)
    assert abs(histogram_entropy(noise(1, 1, 100, 100), 10) - flat) < 0.01


class Negative(nn.Module):
    def forward(self, free):
        return -free.abs()

    def right_inverse(self, bias):
        return bias


class Scale(nn.Module):
    """A layer that does not know how it started."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.arange(8.0))


def test_layers_of_every_kind_forget():
    scale = Scale()
    forget(scale)
    assert sorted(scale.factor.tolist()) == list(range(8))
    assert scale.factor.tolist() != list(range(8))
    norm = nn.BatchNorm2d(4)
    norm.running_mean += 3
    norm.weight.data += noise(4)
    forget(norm)
    assert (norm.running_mean == 0).all() and (norm.weight == 1).all()
    bound = nn.Conv2d(1, 8, 3)
    with torch.no_grad():
        bound.bias.copy_(-torch.arange(8.0))
    parametrize.register_parametrization(bound, "bias", Negative())
    weight, bias = bound.weight.clone(), bound.bias.clone()
    forget(bound, seed=1)
    assert (bound.weight != weight).all() and (bound.bias != bias).any()
    assert sorted(bound.bias.tolist()) == sorted(bias.tolist())
    net = nn.Sequential(bound, nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    found = parameter_randomization(explainer(net, "gradient"), noise(2, 1, 3, 3))
    assert list(found) == ["3", "0"]
