"""The gradient of relevance with respect to every parameter, against differences."""

import pytest
import torch

from lrpbook_lib.lrp import COMPOSITES, Composite, Epsilon, Explainer, Gamma

from .nets import (
    SHAPES,
    build,
    sample,
)


def score_of(explainer, x, weights, target=1):
    """A smooth function of relevance and logits: what a loss would look at."""
    logits, relevance = explainer(x, target)
    inside = (relevance * weights).sum()
    return inside / (relevance.square().sum() + 1) + 0.1 * logits.square().mean()


def assert_gradients(explainer, x, step=1e-6, tolerance=2e-5, most=12):
    generator = torch.Generator().manual_seed(3)
    weights = torch.rand(x.shape, dtype=x.dtype, generator=generator)
    parameters = dict(explainer.model.named_parameters())
    grads = torch.autograd.grad(
        score_of(explainer, x, weights), list(parameters.values())
    )
    assert all(g is not None for g in grads)
    for (name, p), grad in zip(parameters.items(), grads, strict=True):
        flat = p.detach().view(-1)
        chosen = torch.randperm(flat.numel(), generator=generator)[:most]
        measured = []
        for i in chosen.tolist():
            kept = float(flat[i])
            with torch.no_grad():
                flat[i] = kept + step
                above = score_of(explainer, x, weights)
                flat[i] = kept - step
                below = score_of(explainer, x, weights)
                flat[i] = kept
            measured.append(float(above - below) / (2 * step))
        ours = grad.reshape(-1)[chosen]
        want = torch.tensor(measured, dtype=ours.dtype)
        scale = float(grad.abs().max()) + 1e-6
        assert (ours - want).abs().max() <= tolerance * scale, (name, ours, want)


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["epsilon-plus", "epsilon-gamma-box"])
def test_every_network(kind, name):
    # A stabilizer of 0.01 keeps the curvature within reach of differences.
    composite = COMPOSITES[name]
    if name == "epsilon-plus":
        composite = Composite(dense=Epsilon(0.01), conv=Gamma(0.5, 0.01))
        composite = Composite(
            dense=Epsilon(0.01), conv=composite.conv, first=Epsilon(0.05)
        )
    assert_gradients(Explainer(build(kind), composite), sample(kind))
