"""The gradient of relevance with respect to every parameter, against differences.

The presets as they are, their stabilizers included. Relevance is piecewise smooth: it
jumps where a ReLU opens, where two entries of a pooling window swap places and where a
weight changes its sign. A difference across such a place says nothing about a gradient,
so each side is measured on its own, and an entry whose two sides disagree is left out.
The library's gradient has no say in that, and few entries may be left out.
"""

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import COMPOSITES, Composite, Explainer, Flat, WSquare, ZPlus

from .nets import SHAPES, Normed, Plain, SmallResNet, build, sample


def score_of(explainer, x, mask, target=1):
    """Share of the positive relevance inside a mask, and a little of the logits."""
    logits, relevance = explainer(x, target)
    positive = relevance.clamp(min=0)
    inside = (positive * mask).sum() / (positive.sum() + 1e-3)
    return inside + 0.1 * logits.square().mean()


def slopes(f, flat, i, step):
    """Difference quotients at one entry: to the right and to the left."""
    kept = float(flat[i])
    values = []
    with torch.no_grad():
        for value in (kept + step, kept, kept - step):
            flat[i] = value
            values.append(float(f()))
        flat[i] = kept
    above, here, below = values
    return (above - here) / step, (here - below) / step


def assert_gradients(explainer, x, most, step=1e-7, tolerance=1e-4, seed=3):
    generator = torch.Generator().manual_seed(seed)
    mask = (torch.rand(x.shape, generator=generator) < 0.4).to(x.dtype)
    parameters = dict(explainer.model.named_parameters())

    def score():
        return score_of(explainer, x, mask)

    grads = torch.autograd.grad(score(), list(parameters.values()))
    kinks = checked = 0
    for (name, p), grad in zip(parameters.items(), grads, strict=True):
        scale = float(grad.abs().max()) + 1e-4
        order = torch.randperm(p.numel(), generator=generator)[:most]
        for i in order.tolist():
            right, left = slopes(score, p.detach().view(-1), i, step)
            if abs(right - left) > 1e-2 * scale:
                kinks += 1
                continue
            checked += 1
            ours = float(grad.reshape(-1)[i])
            want = (right + left) / 2
            assert abs(ours - want) <= tolerance * scale, (name, i, ours, want)
    assert kinks <= 0.1 * checked, f"{kinks} kinks beside {checked} smooth entries"


def inputs(kind, name):
    x = sample(kind)
    return x.sigmoid() if "box" in name else x  # pixels between 0 and 1


PRESETS = [name for name in COMPOSITES if name != "epsilon"]
#: Where up to forty entries a parameter are checked: each net and each preset once.
CLOSELY = list(zip(SHAPES, PRESETS, strict=True))


@pytest.mark.parametrize(
    ("kind", "name"),
    CLOSELY,
    ids=[f"{kind.__name__}-{name}" for kind, name in CLOSELY],
)
def test_every_parameter_closely(kind, name):
    explainer = Explainer(build(kind), name)
    assert_gradients(explainer, inputs(kind, name), most=40)


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", COMPOSITES)
def test_every_parameter_under_every_preset(kind, name):
    if (kind, name) in CLOSELY:
        pytest.skip("checked more closely above")
    assert_gradients(Explainer(build(kind), name), inputs(kind, name), most=2)


@pytest.mark.parametrize("start", ["one", "softmax", "difference"])
def test_every_start(start):
    explainer = Explainer(build(Plain), "epsilon-plus", start=start)
    assert_gradients(explainer, sample(Plain), most=6)


def test_starting_at_a_layer():
    # Layers behind the start have no gradient: the model ends there.
    model = build(SmallResNet)
    body = nn.Sequential(model.stem, model.layer1)
    assert_gradients(Explainer(body, "zplus", at="1"), sample(SmallResNet), most=6)


def test_first_layers_by_weight():
    rules = Composite(conv=ZPlus(), first=WSquare(), names={"head": Flat()})
    assert_gradients(Explainer(build(Normed), rules), sample(Normed), most=6)
