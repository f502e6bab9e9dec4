"""The presets: against zennit where it is installed, and against numbers by hand."""

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import (
    COMPOSITES,
    AlphaBeta,
    Composite,
    Epsilon,
    Explainer,
    Flat,
    LRPError,
    ZPlus,
)
from lrpbook_lib.models import GliomaCNN

from .nets import Normed, Plain, SmallResNet, build, sample
from .oracle import zennit

ORACLE = zennit()
NAMES = {
    "epsilon-plus": "EpsilonPlus",
    "epsilon-plus-flat": "EpsilonPlusFlat",
    "epsilon-alpha2-beta1": "EpsilonAlpha2Beta1",
    "epsilon-alpha2-beta1-flat": "EpsilonAlpha2Beta1Flat",
    "epsilon-gamma-box": "EpsilonGammaBox",
}


def theirs(model, x, composite):
    start = torch.eye(3, dtype=x.dtype)[[1] * len(x)]
    attributor = ORACLE.attribution.Gradient(model=model, composite=composite)
    with attributor as a:
        return a(x.clone(), lambda z: start * z)[1]


@pytest.mark.skipif(ORACLE is None, reason="zennit is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_equals_zennit(name):
    settings = {"low": 0.0, "high": 1.0} if "box" in name else {}
    if settings:
        settings = {k: torch.full((1, 1, 1, 1), v) for k, v in settings.items()}
    composite = getattr(ORACLE.composites, NAMES[name])(**settings)
    model, x = build(Plain), sample(Plain)
    model.features[5].inplace = False
    want = theirs(model, x, composite)
    _, ours = Explainer(build(Plain), name)(x, 1)
    torch.testing.assert_close(ours, want, rtol=1e-9, atol=1e-12)


@pytest.mark.skipif(ORACLE is None, reason="zennit is not installed")
def test_folding_equals_zennits_canonizer():
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(144, 3),
        nn.BatchNorm1d(3),
    )
    torch.manual_seed(0)
    model = model.double().eval()
    model[1].running_mean.uniform_(-0.3, 0.3)
    model[1].running_var.uniform_(0.5, 1.5)
    nn.init.uniform_(model[1].weight, -1.0, 1.0)
    x = sample(Plain)
    _, ours = Explainer(model, "epsilon-plus")(x, 1)
    canonizer = ORACLE.canonizers.SequentialMergeBatchNorm()
    composite = ORACLE.composites.EpsilonPlus(canonizers=[canonizer])
    # Its merged norm stays in place as a division by the root of 1 + eps.
    want = theirs(model, x, composite)
    torch.testing.assert_close(ours, want, rtol=2e-5, atol=1e-9)


def hand_network():
    """Two inputs, two hidden units, one output; every number small and whole."""
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, -1.0]]))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[2.0, -1.0]]))
        model[2].bias.zero_()
    return model


def test_epsilon_by_hand():
    # x = (1, 1): hidden (3, 2), output 6 - 2 = 4; relevance of hidden (6, -2).
    # First unit splits 6 as 1 : 2, the second -2 as 3 : -1 of a total of 2.
    x = torch.ones(1, 2, dtype=torch.float64)
    tiny = Composite(dense=Epsilon(0.0))
    logits, R = Explainer(hand_network(), tiny)(x, 0)
    assert logits.item() == 4
    assert R[0].tolist() == pytest.approx([6 / 3 - 2 * 3 / 2, 6 * 2 / 3 + 2 / 2])
    assert R.sum().item() == pytest.approx(4)


def test_zplus_by_hand():
    # Only the positive path 6 of the output counts: R of hidden (4, 0), then 1 : 2.
    x = torch.ones(1, 2, dtype=torch.float64)
    _, R = Explainer(hand_network(), Composite(dense=ZPlus(0.0)))(x, 0)
    assert R[0].tolist() == pytest.approx([4 / 3, 8 / 3])


def test_presets_of_the_paper():
    code = COMPOSITES["sefcik-epsilon"]
    assert (code.dense, code.conv) == (Epsilon(1.0), Epsilon(1.0))
    second = COMPOSITES["sefcik-alpha2-beta1"]
    assert (second.dense, second.conv) == (Epsilon(1.0), AlphaBeta(2.0, 1.0))


def test_zplus_of_the_softmax_is_nonnegative_and_sums_to_one():
    model = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.ReLU(), nn.Flatten())
    model = nn.Sequential(*model, nn.Linear(144, 3, bias=False)).double()
    x = sample(Plain).abs()
    with torch.no_grad():
        model[3].weight.abs_()  # every unit has something that speaks for it
    _, R = Explainer(model, "zplus", start="softmax")(x)
    assert (R >= 0).all()
    torch.testing.assert_close(
        R.flatten(1).sum(1), torch.ones(2).double(), rtol=1e-3, atol=0
    )


def test_the_table_names_layer_and_rule():
    model = GliomaCNN(size=32)
    table = COMPOSITES["epsilon-plus-flat"].table(model)
    assert table.loc["features.0", "rule"] == repr(Flat())
    assert table.loc["features.4", "rule"] == repr(ZPlus())
    assert table.loc["classifier.3", "rule"] == repr(Epsilon())
    assert "ZPlus" in str(COMPOSITES["epsilon-plus"])


def test_folded_batch_norm_is_named_in_the_table():
    table = Explainer(build(Normed)).rules
    assert table.loc["bn1", "rule"] == "folded into conv1"
    assert table.loc["bn3", "rule"] == "Pass()"


def test_what_is_more_specific_wins():
    composite = Composite(
        conv=ZPlus(),
        dense=Epsilon(),
        first=Flat(),
        last=Epsilon(0.5),
        names={"features.0": Epsilon(0.3), "features.1?": Epsilon(0.2)},
    )
    rules = composite.table(GliomaCNN(size=32))["rule"]
    assert rules["features.0"] == repr(Epsilon(0.3))  # by name, though first
    assert rules["features.7"] == repr(ZPlus())  # by kind
    assert rules["features.10"] == repr(Epsilon(0.2))  # by a pattern
    assert rules["classifier.3"] == repr(Epsilon(0.5))  # last


def test_first_is_every_layer_next_to_the_input():
    table = Explainer(build(SmallResNet), Composite(first=Flat())).rules
    assert list(table.index[table["rule"] == repr(Flat())]) == ["stem"]


def test_a_name_that_does_not_exist():
    with pytest.raises(LRPError, match="Did you mean 'features"):
        Explainer(build(Plain), Composite(names={"feature.4": Flat()}))


def test_a_composite_that_does_not_exist():
    with pytest.raises(LRPError, match="Did you mean 'epsilon-plus'"):
        Explainer(build(Plain), "epsilon_plus")
    with pytest.raises(TypeError, match="takes rules such as Epsilon"):
        Composite(conv="zplus")
