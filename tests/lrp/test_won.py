"""Relevance that stays with the winners until it is divided: the same, to the bit."""

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import COMPOSITES, Composite, Epsilon, Explainer, Rule, ZPlus
from lrpbook_lib.lrp.won import Won

POOLS = {
    "flush": nn.MaxPool2d(2),
    "overlapping": nn.MaxPool2d(3, 2, 1),
    "leaving a rim": nn.MaxPool2d(3),
    "adaptive": nn.AdaptiveMaxPool2d(3),
}


def network(pool, space=2):
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[space]
    torch.manual_seed(0)
    layers = [conv(2, 4, 3, padding=1), nn.ReLU(), pool, conv(4, 3, 3, padding=1)]
    return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)).double()


def both(explainer, x):
    """Relevance by the program, and by the one that keeps every layer's relevance."""
    return explainer(x, 1)[1], explainer(x, 1, layers=["0", "1"])[1]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("composite", ["epsilon-plus", "epsilon-gamma", "zplus"])
def test_dividing_first_changes_nothing(name, last, composite):
    model = network(POOLS[name])
    x = torch.randn(3, 2, 9, 11, dtype=torch.double)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    model(x)
    explainer = Explainer(model, composite)
    assert "won(" in explainer.program
    divided, spread = both(explainer, x)
    torch.testing.assert_close(divided, spread, rtol=1e-12, atol=1e-14)
    parameters = list(model.parameters())
    for one, other in zip(
        *(torch.autograd.grad(r.square().sum(), parameters) for r in (divided, spread)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("space", [1, 3])
def test_in_other_dimensions(space):
    model = network(nn.MaxPool1d(2) if space == 1 else nn.MaxPool3d(2), space)
    x = torch.randn(2, 2, *[6] * space, dtype=torch.double)
    model(x)
    divided, spread = both(Explainer(model, "epsilon-plus"), x)
    torch.testing.assert_close(divided, spread, rtol=1e-12, atol=1e-14)


def test_many_starts_at_one_sample():
    model = network(nn.MaxPool2d(2))
    x = torch.randn(1, 2, 8, 8, dtype=torch.double)
    model(x)
    explainer = Explainer(model, "epsilon-plus", at="5")
    start = torch.eye(explainer.activation(x).shape[1], dtype=torch.double)
    together = explainer.walk(x, lambda z: z * start)
    one_by_one = [
        explainer(x, explainer.activation(x) * unit[None])[1] for unit in start
    ]
    torch.testing.assert_close(together, torch.cat(one_by_one))


def test_winners_are_looked_up_and_spread():
    a = torch.tensor([[[[1.0, 5.0], [2.0, 0.0]]]])
    won = Won.of(torch.tensor([[[[7.0]]]]), torch.tensor([[[[1]]]]), a)
    assert won.at(a).tolist() == [[[[5.0]]]]
    assert won.spread(won.R).tolist() == [[[[0.0, 7.0], [0.0, 0.0]]]]


class Own(Rule):
    """A rule that computes everything itself, and knows tensors only."""

    def __call__(self, layer, a, z, R, nonnegative=False):
        assert isinstance(R, torch.Tensor)
        return Epsilon()(layer, a, z, R)


def test_where_something_else_looks_it_is_spread_at_once():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            z = self.conv(x)
            return (
                nn.functional.max_pool2d(z, 2).flatten(1).sum(1) + z.mean((1, 2, 3))
            )[:, None]

    x = torch.rand(2, 2, 8, 8)
    assert "won(" not in Explainer(Skips(), "epsilon").program
    model = network(nn.MaxPool2d(2)).float()
    model(x)
    own = Explainer(model, Composite(dense=Epsilon(), conv=Own()))
    assert "won(" not in own.program
    assert own(x, 1)[1].shape == x.shape
    assert "won(" not in Explainer(nn.Sequential(nn.MaxPool2d(2), nn.Flatten())).program


@pytest.mark.parametrize("composite", COMPOSITES)
def test_inputs_without_a_negative_entry_save_half_and_change_nothing(composite):
    model = network(nn.MaxPool2d(2))
    x = torch.rand(2, 2, 8, 8, dtype=torch.double)
    model(x)
    explainer = Explainer(model, composite)
    known = explainer(x, 1)[1]
    # One more sample with a negative pixel: now signs must be told apart.
    more = torch.cat([x, -x[:1]])
    torch.testing.assert_close(explainer(more, 1)[1][:2], known, rtol=1e-9, atol=1e-12)


def test_a_promise_is_never_made_for_signed_inputs(monkeypatch):
    seen = []
    branches = ZPlus.branches
    monkeypatch.setattr(
        ZPlus,
        "branches",
        lambda self, at: seen.append(at.nonnegative) or branches(self, at),
    )
    model = network(nn.MaxPool2d(2))
    x = torch.rand(2, 2, 8, 8, dtype=torch.double)
    model(x)
    explainer = Explainer(model, "zplus")
    explainer(x, 1)
    assert seen[-1] is True
    explainer(x - 0.5, 1)
    assert seen[-1] is False
