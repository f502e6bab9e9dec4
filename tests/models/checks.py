"""What is asked of every network: LRP that conserves and that one can train through."""

import torch
from torch import nn

from lrpbook_lib.lrp import Explainer


def count(model):
    return sum(p.numel() for p in model.parameters())


def general(model, biases=True, seed=0):
    """The network in float64 and evaluation form, with nothing left at zero or one."""
    torch.manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.uniform_(-0.2, 0.2).mul_(biases)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
        for name, p in model.named_parameters():
            if "parametrizations" in name:
                p.uniform_(-0.004, -0.001).mul_(biases)
            elif name.endswith("bias"):
                p.uniform_(-0.1, 0.1).mul_(biases)
    return model


def image(*shape, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, *shape, dtype=torch.float64, generator=generator)


def assert_lrp(model, x, composite, **settings):
    """The same logits, and a ledger that closes in every row."""
    explainer = Explainer(model, composite, **settings)
    logits, relevance = explainer(x, None if settings else 1)
    torch.testing.assert_close(logits, model(x))
    assert relevance.shape == x.shape
    table = explainer.ledger(x, None if settings else 1)
    size = table["relevance_out"].abs() + table["relevance_in"].abs()
    assert (table["unexplained"].abs() <= 1e-9 * size + 1e-12).all()
    return explainer, table


def assert_gradients(explainer, x, step=1e-7, tolerance=1e-4, **target):
    """The gradient of a guided loss, parameter by parameter, along a random direction.

    Each side is measured on its own: where they disagree a unit has switched, and the
    difference says nothing about the gradient.
    """
    generator = torch.Generator().manual_seed(3)
    mask = (torch.rand(x.shape, generator=generator) < 0.4).to(x.dtype)
    parameters = dict(explainer.model.named_parameters())

    def loss():
        logits, relevance = explainer(x, **target)
        positive = relevance.clamp(min=0)
        share = (positive * mask).sum() / (positive.sum() + 1e-3)
        return share + 0.1 * logits.square().mean()

    gradients = torch.autograd.grad(loss(), list(parameters.values()))
    kinks = []
    for (name, p), gradient in zip(parameters.items(), gradients, strict=True):
        direction = torch.randn(p.shape, dtype=p.dtype, generator=generator)
        direction /= direction.norm()
        kept, values = p.detach().clone(), []
        with torch.no_grad():
            for side in (step, 0, -step):
                p.copy_(kept + side * direction)
                values.append(float(loss()))
            p.copy_(kept)
        right, left = (values[0] - values[1]) / step, (values[1] - values[2]) / step
        scale = float(gradient.norm()) + 1e-4
        if abs(right - left) > 1e-2 * scale:
            kinks.append(name)
            continue
        ours = float((gradient * direction).sum())
        assert abs(ours - (right + left) / 2) <= tolerance * scale, name
    assert len(kinks) <= 0.1 * len(parameters), kinks
