"""DenseNet: torchvision's weights by name, and LRP through pre-activation blocks."""

import pytest
import torch
import torch.nn.functional as F

from lrpbook_lib.lrp import Composite, Epsilon, Explainer
from lrpbook_lib.models import DenseNet

from .checks import assert_gradients, assert_lrp, count, general, image

SETTINGS = {"growth": 3, "blocks": (2, 2), "width": 4, "bottleneck": 2}


def small(**more):
    return general(DenseNet(2, 3, **SETTINGS, **more))


def norm(name, channels):
    shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"))
    return {f"{name}.{k}": (channels,) for k in shapes}


def torchvision_121():
    """Names and shapes of torchvision's densenet121, counters of batches left out."""
    shapes = {"features.conv0.weight": (64, 3, 7, 7), **norm("features.norm0", 64)}
    channels = 64
    for i, layers in enumerate((6, 12, 24, 16), start=1):
        for j in range(1, layers + 1):
            layer = f"features.denseblock{i}.denselayer{j}"
            shapes |= norm(f"{layer}.norm1", channels)
            shapes[f"{layer}.conv1.weight"] = (128, channels, 1, 1)
            shapes |= norm(f"{layer}.norm2", 128)
            shapes[f"{layer}.conv2.weight"] = (32, 128, 3, 3)
            channels += 32
        if i < 4:
            shapes |= norm(f"features.transition{i}.norm", channels)
            name = f"features.transition{i}.conv.weight"
            shapes[name] = (channels // 2, channels, 1, 1)
            channels //= 2
    shapes |= norm("features.norm5", 1024)
    return shapes | {"classifier.weight": (1000, 1024), "classifier.bias": (1000,)}


def test_the_121_by_count_and_by_name():
    model, shapes = DenseNet(classes=1000), torchvision_121()
    assert count(model) == 7_978_856
    ours = {
        k: tuple(v.shape)
        for k, v in model.state_dict().items()
        if not k.endswith("num_batches_tracked")
    }
    assert ours == shapes


@pytest.mark.parametrize("old", [False, True], ids=["names of today", "old names"])
def test_weights_load_by_name(old):
    model = DenseNet(classes=1000)
    state = {k: torch.full(shape, 0.5) for k, shape in torchvision_121().items()}
    name = "features.denseblock1.denselayer1.norm1.weight"
    state[name] = torch.arange(64.0)
    if old:  # the files of 2017 say norm.1 and conv.2 inside the layers
        for part in ("norm1", "norm2", "conv1", "conv2"):
            new = f"{part[:-1]}.{part[-1]}."
            state = {k.replace(f"{part}.", new): v for k, v in state.items()}
        assert name not in state
    given = set(state)
    model.load_state_dict(state)
    torch.testing.assert_close(model.state_dict()[name], torch.arange(64.0))
    assert set(state) == given  # the caller's own is left alone


def by_hand(state, x):
    """The forward pass of a small one, as the paper says it: lists, then one cat."""

    def activated(name, x):
        stats = (state[f"{name}.{k}"] for k in ("running_mean", "running_var"))
        affine = (state[f"{name}.{k}"] for k in ("weight", "bias"))
        return F.batch_norm(x, *stats, *affine).relu()

    x = F.conv2d(x, state["features.conv0.weight"], stride=2, padding=3)
    x = F.max_pool2d(activated("features.norm0", x), 3, 2, 1)
    for block in (1, 2):
        seen = [x]
        for layer in (1, 2):
            name = f"features.denseblock{block}.denselayer{layer}"
            h = activated(f"{name}.norm1", torch.cat(seen, 1))
            h = activated(f"{name}.norm2", F.conv2d(h, state[f"{name}.conv1.weight"]))
            seen.append(F.conv2d(h, state[f"{name}.conv2.weight"], padding=1))
        x = torch.cat(seen, 1)
        if block == 1:
            h = activated("features.transition1.norm", x)
            h = F.conv2d(h, state["features.transition1.conv.weight"])
            x = F.avg_pool2d(h, 2)
    x = F.adaptive_avg_pool2d(activated("features.norm3", x), 1).flatten(1)
    return F.linear(x, state["classifier.weight"], state["classifier.bias"])


def test_forward_against_the_definition():
    model, x = small(), image(2, 33, 40)
    torch.testing.assert_close(model(x), by_hand(model.state_dict(), x))


@pytest.mark.parametrize(("channels", "classes", "edge"), [(1, 2, 8), (4, 3, 13)])
def test_small_inputs(channels, classes, edge):
    model = DenseNet(channels, classes, small=True, dropout=0.1, **SETTINGS)
    assert model(torch.rand(2, channels, edge, edge)).shape == (2, classes)


@pytest.mark.parametrize("name", ["epsilon-plus", "epsilon-gamma-box", "zplus"])
@pytest.mark.parametrize("stem", [True, False], ids=["small stem", "large stem"])
def test_the_ledger_closes(name, stem):
    explainer, table = assert_lrp(
        small(small=stem), image(2, 12, 12) if stem else image(2, 32, 32), name
    )
    rules = explainer.rules["rule"]
    first = "features.denseblock1.denselayer1"
    assert rules[f"{first}.norm1"] == "Pass()"
    assert rules[f"{first}.norm2"] == f"folded into {first}.conv1"
    assert f"{first}.conv2" in table.index


def test_all_of_the_logit_arrives_where_nothing_has_a_bias():
    model = general(DenseNet(2, 3, small=True, **SETTINGS), biases=False)
    exact = Epsilon(1e-12)
    composite = Composite(dense=exact, conv=exact, pool=exact)
    logits, relevance = Explainer(model, composite)(image(2, 12, 12), 1)
    torch.testing.assert_close(
        relevance.flatten(1).sum(1), logits[:, 1], rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", ["epsilon-plus", "epsilon-alpha2-beta1-flat"])
def test_gradients(name):
    explainer = Explainer(small(small=True), name)
    assert_gradients(explainer, image(2, 8, 8), target=1)
