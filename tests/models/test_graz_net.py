"""GrazNet: the published layers, biases at or below zero, and relevance that stays."""

import copy

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import Explainer, export_onnx
from lrpbook_lib.models import GrazNet, GrazNetUnbiased

from .checks import assert_gradients, assert_lrp, count, general, image

SIZE = (9, 10, 12)


def small():
    torch.manual_seed(0)
    return GrazNet(size=SIZE)


def biases(model):
    layers = (m for m in model.modules() if isinstance(m, nn.Conv3d | nn.Linear))
    return [layer.bias for layer in layers]


def weights(model):
    layers = (m for m in model.modules() if isinstance(m, nn.Conv3d | nn.Linear))
    return [layer.weight for layer in layers]


@pytest.mark.parametrize(
    ("size", "cells"),
    # Native: 176 x 224 x 256 halved four times. MNI: 182 91 46 23 12, 218 ... 55 28 14.
    [((176, 224, 256), 11 * 14 * 16), ((182, 218, 182), 12 * 14 * 12)],
)
def test_as_published(size, cells):
    convolutions = (27 * 1 * 8 + 8) + 7 * (27 * 8 * 8 + 8)
    dense = cells * 8 * 16 + 16 + 16 * 2 + 2
    assert count(GrazNet(size=size)) == convolutions + dense
    assert count(GrazNet()) == 327_818


def test_layers_in_order_and_biases_of_zero():
    model = small()
    kinds = [type(m).__name__.removeprefix("Parametrized") for m in model.features]
    assert kinds == ["Conv3d", "ReLU"] * 8
    strides = [m.stride for m in model.features if isinstance(m, nn.Conv3d)]
    assert strides == [(1, 1, 1), (2, 2, 2)] * 4
    assert all(not bias.any() for bias in biases(model))


@pytest.mark.parametrize("size", [(9, 10, 12), (1, 2, 33), [16, 16, 16]])
def test_any_size(size):
    model = GrazNet(2, 3, size).eval()
    assert model(torch.rand(2, 2, *size)).shape == (2, 3)


def test_without_biases_it_is_the_same_with_all_of_them_zero():
    model, free = small(), GrazNetUnbiased(size=SIZE)
    assert all(bias is None for bias in biases(free))
    for mine, its in zip(free.parameters(), weights(model), strict=True):
        mine.data.copy_(its)
    x = torch.rand(2, 1, *SIZE)
    torch.testing.assert_close(free(x), model(x))


def test_a_size_that_is_no_volume():
    with pytest.raises(ValueError, match="three edges"):
        GrazNet(size=(64, 64))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_no_step_of_any_optimizer_lifts_a_bias_above_zero(kind):
    model, x = small(), image(1, *SIZE).float()
    optimizer = kind(model.parameters(), lr=0.05)
    moved = False
    for _ in range(6):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.tensor([0, 1])).backward()
        optimizer.step()
        assert all(bool((bias <= 0).all()) for bias in biases(model))
        moved = moved or any(bool((bias < 0).any()) for bias in biases(model))
    assert moved


def test_a_bias_pushed_against_zero_comes_back():
    bias = small().classifier[3].parametrizations.bias
    optimizer = torch.optim.SGD(bias.parameters(), lr=0.1)
    for sign, least in ((-1, -0.101), (-1, -0.101), (1, -0.4)):
        for _ in range(3):
            optimizer.zero_grad()
            (sign * bias().sum()).backward()
            optimizer.step()
            assert bool((bias() <= 0).all() and (bias() >= least).all())
    assert bool((bias() < -0.15).all())  # not frozen at zero


def test_weights_travel_and_a_positive_bias_is_refused():
    model, x = general(small()), image(1, *SIZE)
    other = small().double().eval()
    other.load_state_dict(model.state_dict())
    for twin in (other, copy.deepcopy(model)):
        torch.testing.assert_close(twin(x), model(x))
    with pytest.raises(ValueError, match="at most zero"):
        other.classifier[3].bias = torch.ones(2)


def test_zplus_from_the_softmax_keeps_one_whole_head():
    # No bias takes anything; the stabilizers take a little at every layer.
    model, x = general(small()), image(1, *SIZE)
    explainer, table = assert_lrp(model, x, "zplus", start="softmax")
    assert (table["bias"] == 0).all() and not table["alarm"].any()
    relevance = explainer(x)[1]
    assert float(relevance.min()) >= 0
    assert relevance.sum((1, 2, 3, 4)).tolist() == pytest.approx([1, 1], abs=2e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"composite": "zplus", "start": "softmax"},
        {"composite": "epsilon-alpha2-beta1-flat"},
    ],
)
def test_gradients(settings):
    assert_gradients(Explainer(general(small()), **settings), image(1, *SIZE))


def test_onnx(tmp_path):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    explainer = Explainer(small().eval(), "zplus")
    x, target = image(1, *SIZE).float(), torch.tensor([0, 1])
    session = runtime.InferenceSession(
        export_onnx(explainer, x, tmp_path / "graz.onnx")
    )
    given = {"x": x.numpy(), "target": target.numpy()}
    wanted = {i.name for i in session.get_inputs()}
    given |= {k: torch.tensor(1e-6).numpy() for k in wanted - set(given)}
    for got, want in zip(session.run(None, given), explainer(x, target), strict=True):
        torch.testing.assert_close(torch.from_numpy(got), want, rtol=1e-3, atol=1e-6)
