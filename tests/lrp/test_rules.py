"""Every rule on every affine layer, against the naive derivation in float64."""

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Pass,
    WSquare,
    ZBox,
    ZPlus,
)

from . import naive

LAYERS = {
    "dense": (lambda: nn.Linear(5, 4), (5,)),
    "dense, no bias": (lambda: nn.Linear(5, 4, bias=False), (5,)),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3, padding=1, stride=2), (2, 6)),
    "conv2d": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 4, 4)),
    "groups": (lambda: nn.Conv2d(4, 4, 2, groups=2, bias=False), (4, 3, 3)),
    "dilation": (lambda: nn.Conv2d(2, 2, 2, dilation=2, stride=2), (2, 5, 6)),
    "reflect": (
        lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        (2, 3, 4),
    ),
    "same": (lambda: nn.Conv2d(2, 2, 2, padding="same"), (2, 3, 3)),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2, stride=(1, 2, 1)), (1, 3, 4, 3)),
    "transposed 1d": (
        lambda: nn.ConvTranspose1d(2, 2, 3, stride=2, output_padding=1),
        (2, 4),
    ),
    "transposed 2d": (
        lambda: nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, groups=2),
        (4, 3, 3),
    ),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 1, 2), (2, 2, 2, 2)),
}
RULES = {
    "epsilon": (
        Epsilon(0.01),
        lambda w, b, a, R, c: naive.epsilon_rule(w, b, a, R, 0.01),
    ),
    "zplus": (ZPlus(), lambda w, b, a, R, c: naive.alpha_beta_rule(w, b, a, R, 1, 0)),
    "alphabeta": (
        AlphaBeta(2, 1),
        lambda w, b, a, R, c: naive.alpha_beta_rule(w, b, a, R, 2, 1),
    ),
    "gamma": (Gamma(0.4), lambda w, b, a, R, c: naive.gamma_rule(w, b, a, R, 0.4)),
    "flat": (Flat(), naive.flat_rule),
    "wsquare": (WSquare(), lambda w, b, a, R, c: naive.wsquare_rule(w, b, a, R)),
    "zbox": (
        ZBox(-1.5, 2.0),
        lambda w, b, a, R, c: naive.zbox_rule(w, b, a, R, -1.5, 2.0),
    ),
}


def setting(kind, nonnegative, seed=0):
    torch.manual_seed(seed)
    make, shape = LAYERS[kind]
    layer = make().double()
    a = torch.randn(3, *shape, dtype=torch.float64)
    if nonnegative:
        a = a.relu()
    z = layer(a)
    return layer, a, z, torch.randn_like(z)


@pytest.mark.parametrize("nonnegative", [False, True], ids=["signed", "nonnegative"])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", LAYERS)
def test_rule_equals_the_naive_derivation(kind, rule, nonnegative):
    layer, a, z, R = setting(kind, nonnegative)
    ours, plain = RULES[rule]
    w, b = naive.matrix(layer, a.shape[1:])
    reach = naive.connected(layer, a.shape[1:]) if rule == "flat" else None
    if kind == "reflect" and rule in ("flat", "wsquare", "zbox"):
        # These look at weights one by one, and a mirrored pixel has several.
        pytest.skip("a mirrored pixel counts once for each of its copies")
    want = torch.stack(
        [
            plain(w, b, a[n].flatten(), R[n].flatten(), reach).reshape(a.shape[1:])
            for n in range(len(a))
        ]
    )
    if kind == "reflect" and rule != "epsilon":
        pytest.skip("the sign of a sum of copies is not the sign of each")
    torch.testing.assert_close(
        ours(layer, a, z, R, nonnegative=nonnegative), want, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("kind", ["dense", "conv2d", "transposed 2d", "reflect"])
def test_what_is_absorbed_closes_the_balance(kind, rule):
    layer, a, z, R = setting(kind, False)
    ours, _ = RULES[rule]
    bias, stabilizer, _ = ours.absorbed(layer, a, z, R)
    passed = ours(layer, a, z, R).flatten(1).sum(1)
    kept = passed + bias + stabilizer
    sent = R.flatten(1).sum(1)
    if rule == "alphabeta":  # alpha - beta of what comes in
        sent = (2 - 1) * sent
    torch.testing.assert_close(kept, sent, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_many_starts_at_one_sample(rule):
    layer, a, _, _ = setting("conv2d", False)
    one = a[:1]
    z = layer(one)
    R = torch.randn(4, *z.shape[1:], dtype=torch.float64)
    ours, _ = RULES[rule]
    want = torch.cat([ours(layer, one, z, r[None]) for r in R])
    torch.testing.assert_close(ours(layer, one, z, R), want)


def test_numbers_by_hand():
    # One unit: 1*2 + 3*(-1) + bias 0.5 = -0.5.
    layer = nn.Linear(2, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, -1.0]]))
        layer.bias.fill_(0.5)
    a = torch.tensor([[1.0, 3.0]], dtype=torch.float64)
    z, R = layer(a), torch.tensor([[1.0]], dtype=torch.float64)

    def got(rule):
        return [round(v, 4) for v in rule(layer, a, z, R)[0].tolist()]

    assert got(Epsilon(0.0)) == [-4.0, 6.0]
    assert got(ZPlus(0.0)) == [0.8, 0.0]
    assert got(AlphaBeta(2, 1, 0.0)) == [1.6, -1.0]
    # z < 0, so the negative contribution doubles: 2 - 6 + 0.5 = -3.5.
    assert got(Gamma(1.0, 0.0)) == [round(2 / -3.5, 4), round(-6 / -3.5, 4)]
    assert got(Flat(0.0)) == [0.5, 0.5]
    assert got(WSquare(0.0)) == [0.8, 0.2]
    # 1*2 - 0*2 = 2 and 3*(-1) - 4*(-1) = 1.
    assert got(ZBox(0.0, 4.0, 0.0)) == [round(2 / 3, 4), round(1 / 3, 4)]


def test_box_edges_by_channel():
    layer = nn.Conv2d(2, 1, 1).double()
    a = torch.rand(1, 2, 2, 2, dtype=torch.float64)
    z = layer(a)
    R = torch.ones_like(z)
    both = ZBox((0.0, -1.0), (1.0, 2.0))(layer, a, z, R)
    assert both.shape == a.shape
    torch.testing.assert_close(both.sum(), R.sum(), rtol=1e-4, atol=1e-4)


def test_alpha_beta_that_cannot_conserve():
    with pytest.raises(ValueError, match="alpha - beta = 1"):
        AlphaBeta(2, 0)


def test_pass_needs_equal_shapes():
    layer, a, z, R = setting("dense", False)
    with pytest.raises(ValueError, match="equal shapes"):
        Pass()(layer, a, z, R)
