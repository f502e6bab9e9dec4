"""What the explainer promises beside the rules themselves."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.lrp import (
    COMPOSITES,
    Composite,
    Epsilon,
    Explainer,
    Flat,
    register,
    unregister,
)
from lrpbook_lib.models import GliomaCNN

from .nets import SHAPES, Normed, Plain, SmallUNet, build, sample


def test_the_papers_network_has_the_papers_size():
    assert sum(p.numel() for p in GliomaCNN().parameters()) == 1_940_834
    assert GliomaCNN(channels=1, classes=3, size=(48, 32))(
        torch.zeros(2, 1, 48, 32)
    ).shape == (2, 3)
    with pytest.raises(ValueError, match="at least 16"):
        GliomaCNN(size=8)


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["epsilon", "epsilon-plus-flat", "zplus"])
def test_logits_are_those_of_the_model(kind, name):
    model, x = build(kind), sample(kind)
    logits, relevance = Explainer(model, name)(x)
    torch.testing.assert_close(logits, model(x))
    assert relevance.shape == x.shape
    assert relevance.isfinite().all()


@pytest.mark.parametrize("kind", SHAPES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", list(COMPOSITES))
def test_the_ledger_closes(kind, name):
    table = Explainer(build(kind), name).ledger(sample(kind), 1)
    size = table["relevance_out"].abs() + table["relevance_in"].abs() + 1e-12
    assert (table["unexplained"].abs() <= 1e-6 * size + 1e-9).drop("total").all()


def test_relevance_sums_to_the_logit_without_bias_and_stabilizer():
    model, x = build(Plain), sample(Plain)
    with torch.no_grad():
        for p in (p for n, p in model.named_parameters() if "bias" in n):
            p.zero_()
    logits, R = Explainer(model, Composite(dense=Epsilon(0.0), conv=Epsilon(0.0)))(x, 2)
    torch.testing.assert_close(R.flatten(1).sum(1), logits[:, 2])


def test_degenerate_denominators_raise_the_alarm():
    model = nn.Sequential(nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -1.0]]))
    explainer = Explainer(model, "epsilon", start="one")
    table = explainer.ledger(torch.ones(1, 2, dtype=torch.float64), 0)
    assert "degenerate" in table.loc["0", "alarm"]
    fine = explainer.ledger(torch.tensor([[2.0, 1.0]], dtype=torch.float64), 0)
    assert fine.loc["0", "alarm"] == ""


def test_starts():
    model, x = build(Plain), sample(Plain)
    none = Composite(dense=Epsilon(0.0), conv=Epsilon(0.0))
    z = model(x)
    begun = {}

    def total(start, target):
        table = Explainer(model, none, start=start).ledger(x, target)
        return table.loc["total", "relevance_out"]

    begun["logit"] = z[:, 1].sum()
    begun["one"] = torch.tensor(2.0)
    begun["softmax"] = z.softmax(1)[:, 1].sum()
    runner_up = z.clone()
    runner_up[:, 1] = -torch.inf
    begun["difference"] = (z[:, 1] - runner_up.amax(1)).sum()
    for start, want in begun.items():
        assert total(start, 1) == pytest.approx(float(want)), start
    assert total("one", torch.tensor(1)) == pytest.approx(2.0)
    assert total("softmax", None) == pytest.approx(2.0)
    assert total("logit", None) == pytest.approx(float(z.amax(1).sum()))
    own = torch.rand_like(z)
    assert total("logit", own) == pytest.approx(float(own.sum()))


def test_scaling_the_start_scales_relevance():
    explainer, x = Explainer(build(Plain)), sample(Plain)
    start = torch.randn(2, 3, dtype=torch.float64)
    _, once = explainer(x, start)
    _, thrice = explainer(x, 3 * start)
    torch.testing.assert_close(thrice, 3 * once)


@pytest.mark.parametrize("kind", [Plain, SmallUNet], ids=lambda kind: kind.__name__)
def test_one_by_one_equals_the_batch(kind):
    explainer, x = Explainer(build(kind)), sample(kind, batch=3)
    target = torch.tensor([1, 0, 1])
    _, together = explainer(x, target)
    apart = [explainer(x[i : i + 1], target[i : i + 1])[1] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(apart))


def test_zero_input_gets_no_relevance_except_where_the_rule_ignores_it():
    model, x = build(Plain), torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    assert (Explainer(model, "epsilon-plus")(x, 1)[1] == 0).all()
    assert (Explainer(model, "epsilon-plus-flat")(x, 1)[1] != 0).any()


def test_among_equals_the_first_wins():
    model = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 1, bias=False))
    model = model.double()
    x = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    _, R = Explainer(model, "epsilon")(x, 0)
    R = R.detach()
    assert R[0, 0, 0, 0] == pytest.approx(model(x).item(), rel=1e-4)
    assert R.count_nonzero() == 1


@pytest.mark.parametrize("at", ["features.4", "features", "classifier.1"])
def test_starting_at_a_layer(at):
    model, x = build(Plain), sample(Plain)
    explainer = Explainer(model, "epsilon", at=at)
    activation, R = explainer(x)
    want = model.features[:5](x) if at == "features.4" else model.features(x)
    if at == "classifier.1":
        want = model.classifier[:2](want)
    torch.testing.assert_close(activation, want)
    assert R.shape == x.shape
    torch.testing.assert_close(explainer.activation(x), want)


def test_relevance_of_layers_on_request():
    model, x = build(Plain), sample(Plain)
    explainer = Explainer(model, "epsilon-plus")
    _, R, by_layer = explainer(x, 1, layers=["features.2", "classifier.1"])
    assert by_layer["features.2"].shape == model.features[:3](x).shape
    table = explainer.ledger(x, 1)
    inside = table.loc["features.4", "relevance_in"]
    assert float(by_layer["features.2"].sum()) == pytest.approx(inside)
    # From there on, by itself, it is the same relevance again.
    below = Explainer(model, "epsilon-plus", at="features.2")
    torch.testing.assert_close(below(x, by_layer["features.2"])[1], R)


def test_the_program_is_readable_python():
    explainer = Explainer(build(Plain))
    assert "R_features_0 = " in explainer.program
    assert "zplus(model.features[4], a=features_3" in explainer.program
    compile(explainer.program, "program", "exec")


def test_the_model_is_left_alone():
    model, x = build(Plain), sample(Plain)
    model.train()
    state = copy.deepcopy(model.state_dict())
    parameters = [id(p) for p in model.parameters()]
    modes = [m.training for m in model.modules()]
    explainer = Explainer(model)
    _, R = explainer(x, 1)
    R.sum().backward()
    explainer.ledger(x, 1)
    assert [id(p) for p in model.parameters()] == parameters
    assert [id(p) for p in explainer.parameters()] == parameters
    assert [m.training for m in model.modules()] == modes
    for m in model.modules():
        assert not m._forward_hooks and not m._backward_hooks
        assert not m._forward_pre_hooks
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_dropout_is_on_for_logits_and_off_for_relevance():
    model, x = build(Plain), sample(Plain)
    _, calm = Explainer(model)(x, 1)
    model.train()
    explainer = Explainer(model)
    torch.manual_seed(5)
    logits, R = explainer(x, 1)
    torch.manual_seed(5)
    # Dropout draws in the order of memory: the same layout gives the same mask.
    laid_out = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(logits, model(laid_out))
    torch.testing.assert_close(R, calm)


def test_one_pass_shares_the_dropout_mask():
    model, x = build(Plain).train(), sample(Plain)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "bias" in n:
                p.zero_()
    rules = Composite(dense=Epsilon(0.0), conv=Epsilon(0.0))
    torch.manual_seed(5)
    logits, R = Explainer(model, rules, clean=False)(x, 1)
    torch.manual_seed(5)
    laid_out = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(logits, model(laid_out))
    torch.testing.assert_close(R.flatten(1).sum(1), logits[:, 1])


def test_batch_norm_in_training_mode():
    model, x = build(Normed), sample(Normed, batch=4)
    _, calm = Explainer(model)(x, 1)
    other = copy.deepcopy(model).train()
    want = other(x)  # updates the running statistics once
    model.train()
    logits, R = Explainer(model)(x, 1)
    torch.testing.assert_close(logits, want)
    torch.testing.assert_close(R, calm)
    for a, b in zip(model.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(a, b)
    # Two passes before one backward: statistics changed in between.
    first, second = Explainer(model)(x, 1)[1], Explainer(model)(x, 0)[1]
    (first.sum() + second.sum()).backward()


def test_batch_statistics_with_one_pass():
    model, x = build(Normed).train(), sample(Normed, batch=4)
    logits, R = Explainer(model, "epsilon", clean=False)(x, 1)
    torch.testing.assert_close(logits, copy.deepcopy(model)(x))
    assert R.isfinite().all()


def test_an_optimizer_step_changes_what_it_should():
    model, x = build(Plain), sample(Plain)
    explainer = Explainer(model)
    frozen = model.features[0].weight
    frozen.requires_grad_(False)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    for _ in range(2):  # a second step must move as well
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        logits, R = explainer(x, 1)
        loss = F.cross_entropy(logits, torch.tensor([1, 0])) - R[..., :4].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for name, p in model.named_parameters():
            moved = not torch.equal(p, before[name])
            assert moved == (p is not frozen), name
    torch.testing.assert_close(explainer(x, 1)[0], model(x))


def test_a_layer_that_is_replaced_is_the_one_that_counts():
    model, x = build(Plain), sample(Plain)
    explainer = Explainer(model)
    before = explainer(x, 1)[1]
    torch.manual_seed(9)
    model.classifier[3] = nn.Linear(6, 3).double()
    logits, R = explainer(x, 1)
    torch.testing.assert_close(logits, model(x))
    assert not torch.allclose(R, before)


def test_copies_and_pickles():
    explainer, x = Explainer(build(Plain), at="features.4"), sample(Plain)
    want = explainer(x)[1]
    torch.testing.assert_close(copy.deepcopy(explainer)(x)[1], want)
    torch.testing.assert_close(pickle.loads(pickle.dumps(explainer))(x)[1], want)


def test_a_layer_that_is_used_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(4, 4, bias=False)

        def forward(self, x):
            return self.shared(self.shared(x).relu())

    torch.manual_seed(0)
    model = Twice().double()
    apart = nn.Sequential(nn.Linear(4, 4, False), nn.ReLU(), nn.Linear(4, 4, False))
    apart = apart.double()
    for layer in (apart[0], apart[2]):
        layer.weight = model.shared.weight
    x = torch.randn(2, 4, dtype=torch.float64)
    explainer = Explainer(model)
    torch.testing.assert_close(explainer(x, 1)[1], Explainer(apart)(x, 1)[1])
    assert list(explainer.rules.index) == ["shared", "shared:2"]


def test_a_rule_of_your_own_takes_three_lines():
    class Double(nn.Module):
        def forward(self, x):
            return 2 * x

    @register(Double)
    def halves(layer, a, z, R):
        return R / 2

    try:
        model = nn.Sequential(nn.Linear(3, 3), Double(), nn.Linear(3, 2))
        x = torch.randn(2, 3)
        explainer = Explainer(model, Composite(), at=None)
        assert "halves(model[1]" in explainer.program
        plain = Explainer(nn.Sequential(model[0], nn.Identity(), model[2]))
        assert explainer(x, 0)[1].shape == plain(x, 0)[1].shape
    finally:
        unregister(Double)
    assert Explainer(model).program.count("halves") == 0


def test_registering_a_function():
    class Net(nn.Module):
        def forward(self, x):
            return torch.special.expit(x)

    @register(torch.special.expit)
    def through(function, a, z, R):
        return R

    try:
        x = torch.randn(2, 3)
        logits, R = Explainer(Net())(x, 1)
        torch.testing.assert_close(R.sum(1), logits[:, 1])
    finally:
        unregister(torch.special.expit)


def test_another_setting_by_keyword():
    explainer, x = Explainer(build(Plain), "epsilon"), sample(Plain)
    _, damped = explainer(x, 1, epsilon=Epsilon(0.5))
    want = Explainer(build(Plain), Composite(Epsilon(0.5), Epsilon(0.5)))(x, 1)[1]
    torch.testing.assert_close(damped, want)


def test_flat_first_layer_gives_the_background_relevance():
    x = sample(Plain)
    x[..., :4] = 0
    rules = COMPOSITES["epsilon-plus"]
    assert (Explainer(build(Plain), rules)(x, 1)[1][..., :4] == 0).all()
    flat = Composite(conv=rules.conv, first=Flat())
    assert (Explainer(build(Plain), flat)(x, 1)[1][..., :4] != 0).any()
