"""The table of operations: what a row says, and what one more takes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.lrp import (
    Composite,
    Epsilon,
    Explainer,
    LRPError,
    UnsupportedOperationError,
    unregister,
)
from lrpbook_lib.lrp.layers import Scale
from lrpbook_lib.lrp.program import row, word

from . import naive


class RootNorm(nn.Module):
    """A norm that the library does not know: divided by the root of the mean square."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(5).double() + 0.5)

    def forward(self, x):
        return x / (x.square().mean(1, keepdim=True) + 1e-5).sqrt() * self.weight


@pytest.fixture
def root_norm():
    @word
    def root_scale(norm, h):
        """The statistics taken as given, a scale is left."""
        return Scale(norm.weight / (h.square().mean(1, keepdim=True) + 1e-5).sqrt())

    row(RootNorm, kind="norm", layer="root_scale({module}, {a})")
    yield
    unregister(RootNorm)


def test_a_norm_with_a_rule_of_its_own_takes_one_place(root_norm):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), RootNorm(), nn.ReLU(), nn.Linear(5, 3))
    model, x = model.double(), torch.randn(2, 4, dtype=torch.float64)
    explainer = Explainer(model, Composite(norm=Epsilon(0.1)))
    assert "epsilon_2(root_scale(model[1], _0), a=_0, z=_1" in explainer.program
    logits, _, by_layer = explainer(x, 1, layers=["0", "1"])
    torch.testing.assert_close(logits, model(x))
    h = model[0](x)
    z = model[1](h)
    want = [
        naive.epsilon_rule(torch.diag(z[n] / h[n]), torch.zeros(5), h[n], r, 0.1)
        for n, r in enumerate(by_layer["1"])
    ]
    torch.testing.assert_close(by_layer["0"], torch.stack(want))
    table = explainer.ledger(x, 1)
    assert table.loc["1", "unexplained"] == pytest.approx(0, abs=1e-12)
    passed = Explainer(model, Composite())(x, 1, layers=["0", "1"])[2]
    torch.testing.assert_close(passed["0"], passed["1"])


@pytest.mark.parametrize(
    ("norm", "shape", "groups"),
    [
        (nn.GroupNorm(2, 4), (4, 3, 3), lambda t: t.reshape(2, 2, 2, 9)),
        (nn.GroupNorm(1, 4, affine=False), (4, 5), lambda t: t.reshape(2, 1, 20)),
        (nn.InstanceNorm2d(4, affine=True), (4, 3, 3), lambda t: t.reshape(2, 4, 9)),
        (nn.LayerNorm((3, 3)), (4, 3, 3), lambda t: t.reshape(2, 4, 9)),
        (nn.LayerNorm(5, bias=False), (4, 5), lambda t: t),
    ],
    ids=["group", "all channels", "instance", "two features", "no bias"],
)
def test_norms_take_a_rule_with_their_statistics_given(norm, shape, groups):
    torch.manual_seed(0)
    norm = norm.double()
    for p in norm.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    a, R = torch.randn(2, 2, *shape, dtype=torch.float64)
    explainer = Explainer(nn.Sequential(norm), Composite(norm=Epsilon(0.01)))
    z, ours = explainer(a, R)
    torch.testing.assert_close(z, norm(a))
    one = groups(a).flatten(2) if groups(a).ndim > 3 else groups(a)
    mean = one.mean(-1, keepdim=True).expand_as(one).reshape(a.shape)
    bias = norm.bias if getattr(norm, "bias", None) is not None else torch.zeros(())
    if not isinstance(norm, nn.LayerNorm) and bias.ndim:
        bias = bias.reshape(-1, *[1] * (a.ndim - 2))
    scale = (z - bias) / (a - mean)
    stable = z + 0.01 * torch.where(z >= 0, 1.0, -1.0)
    torch.testing.assert_close(ours, scale * a / stable * R)


def test_a_norm_as_a_function_passes_or_says_that_it_can_do_no_more():
    class Net(nn.Module):
        def forward(self, x):
            return F.layer_norm(x, (3,))

    x = torch.randn(2, 3)
    assert torch.equal(*(Explainer(Net())(x, torch.ones(2, 3))[1], torch.ones(2, 3)))
    with pytest.raises(UnsupportedOperationError, match=r"takes Pass\(\) only"):
        Explainer(Net(), Composite(norm=Epsilon()))


def test_a_weight_that_depends_on_the_input():
    class Net(nn.Module):
        def forward(self, x):
            return F.linear(x, x[0].expand(2, -1))

    with pytest.raises(LRPError, match="takes weights as given"):
        Explainer(Net())


def test_in_place_dropout_leaves_its_input_to_the_rules():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5, inplace=True))
    model = nn.Sequential(*model, nn.Linear(8, 2)).double().train()
    x = torch.randn(2, 3, dtype=torch.float64)
    _, calm = Explainer(model.eval())(x, 1)
    logits, R = Explainer(model.train())(x, 1)
    torch.testing.assert_close(R, calm)
    (logits.sum() + R.sum()).backward()


def test_a_comparison_in_the_training_pass():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.drop = nn.Linear(3, 3), nn.Dropout(0.5)

        def forward(self, x):
            h = self.drop(self.dense(x))
            return torch.where(h > 0, h, 0.1 * h)

    explainer = Explainer(Net().train())
    assert "gt = drop > 0" in explainer.program
    assert explainer(torch.randn(2, 3), 1)[1].isfinite().all()


def test_functional_batch_norm_follows_the_mode_of_its_module():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x):
            n = self.norm
            given = (n.running_mean, n.running_var, n.weight, n.bias)
            return F.batch_norm(x, *given, self.training)

    model, x = Net().eval(), torch.randn(4, 3) + 1
    explainer = Explainer(model)
    torch.testing.assert_close(explainer(x, 0)[0], model(x))
    model.train()
    torch.testing.assert_close(explainer(x, 0)[0], model(x))


def test_the_larger_of_two_by_max_and_the_place_of_a_maximum():
    class Net(nn.Module):
        def forward(self, x):
            values, places = x.max(1, keepdim=True)
            return torch.max(x, 2 * values - x) + 0 * places

    x = torch.randn(2, 4, dtype=torch.float64)
    logits, R = Explainer(Net(), "epsilon")(x, 0)
    torch.testing.assert_close(R.sum(1), logits[:, 0], rtol=1e-4, atol=1e-5)
