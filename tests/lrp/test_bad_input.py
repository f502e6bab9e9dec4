"""Bad input: a clear error that says what to do, or the right answer."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.lrp import (
    Explainer,
    LRPError,
    UnsupportedOperationError,
    UntraceableModelError,
)

from .nets import Plain, SmallUNet, build, sample


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_not_finite(value):
    x = sample(Plain)
    x[1, 0, 2, 3] = value
    with pytest.raises(LRPError, match=r"sample\(s\) \[1\].*nan_to_num"):
        Explainer(build(Plain))(x)


@pytest.mark.parametrize("target", [3, -1, torch.tensor([0, 7])])
def test_target_out_of_range(target):
    with pytest.raises(LRPError, match=r"out of range: the output has 3 classes"):
        Explainer(build(Plain))(sample(Plain), target)


@pytest.mark.parametrize(
    "target",
    [torch.tensor([0, 1, 2]), torch.zeros(2, 4), torch.tensor([True, False]), "LGG"],
    ids=["too many", "start of another shape", "bool", "text"],
)
def test_target_of_another_kind(target):
    with pytest.raises(LRPError, match=r"target"):
        Explainer(build(Plain))(sample(Plain), target)


def test_a_segmenter_takes_a_class_for_all_or_for_each_position():
    explainer, x = Explainer(build(SmallUNet)), sample(SmallUNet)
    one = explainer(x, 1)[1]
    each = explainer(x, torch.ones(2, 8, 8, dtype=torch.long))[1]
    torch.testing.assert_close(one, each)


def test_data_dependent_control_flow():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    explainer = Explainer(Branching())
    with pytest.raises(UntraceableModelError, match=r"torch\.where"):
        _ = explainer.program
    with pytest.raises(UntraceableModelError, match=r"looks at values .*torch\.where"):
        explainer(torch.ones(2, 3))


def test_a_branch_that_tracing_takes_the_wrong_way():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(3, 2)

        def forward(self, x):
            z = self.dense(x)
            return z if isinstance(x, torch.Tensor) else -z

    x = torch.randn(2, 3)
    model = Branching()
    explainer = Explainer(model)
    torch.testing.assert_close(explainer(x, 1)[0], model(x))
    assert "recorded from a run" in explainer.captured
    torch.testing.assert_close(Explainer(model, at="dense")(x)[0], model.dense(x))
    assert Explainer(Branching(), check=False)(x, 1)[1].shape == x.shape


def test_a_branch_on_the_mode_is_refused_when_training():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(3, 2)

        def forward(self, x):
            return self.dense(x) * (2 if self.training else 1)

    model, x = Branching().eval(), torch.randn(2, 3)
    explainer = Explainer(model)
    torch.testing.assert_close(explainer(x, 1)[0], model(x))
    with pytest.raises(UntraceableModelError, match=r"itself in training form"):
        explainer.train()(x, 1)


def test_what_is_compared_with_the_model_leaves_it_as_it_was():
    model, x = build(Plain), sample(Plain)
    model.features.train()
    modes = [m.training for m in model.modules()]
    Explainer(model)(x, 1)
    assert [m.training for m in model.modules()] == modes


def test_two_inputs():
    class Pair(nn.Module):
        def forward(self, x, y):
            return x + y

    with pytest.raises(UntraceableModelError, match=r"explains one tensor"):
        Explainer(Pair())


def test_two_outputs():
    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            return self.one(x), self.two(x)

    with pytest.raises(LRPError, match=r"several values.*at="):
        Explainer(Heads())
    assert Explainer(Heads(), at="two")(torch.randn(2, 3))[1].shape == (2, 3)


def test_an_operation_without_a_rule():
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(3, 3), nn.Softmin(1), nn.Linear(3, 2))

        def forward(self, x):
            return self.block(x)

    with pytest.raises(UnsupportedOperationError) as caught:
        Explainer(Gate())
    said = str(caught.value)
    assert "Softmin" in said and "'block.1'" in said and "block_1" in said
    assert "lrpbook_lib.lrp.register" in said and "def rule(layer, a, z, R)" in said


def test_a_product_of_two_activations():
    class Squeeze(nn.Module):
        def forward(self, x):
            return x / x.mean(1, keepdim=True)

    with pytest.raises(UnsupportedOperationError, match=r"register"):
        Explainer(Squeeze())


@pytest.mark.parametrize("name", ["feature.4", "features.99"])
def test_a_layer_that_does_not_exist(name):
    with pytest.raises(LRPError, match=r"Did you mean 'features"):
        Explainer(build(Plain), at=name)
    with pytest.raises(LRPError, match=r"There are: "):
        Explainer(build(Plain))(sample(Plain), layers=[name])


def test_a_layer_behind_the_start():
    explainer = Explainer(build(Plain), at="features.4")
    with pytest.raises(LRPError, match=r"after the one where relevance starts"):
        explainer(sample(Plain), layers=["classifier.1"])


def test_dtypes_and_devices():
    explainer, x = Explainer(build(Plain)), sample(Plain)
    with pytest.raises(LRPError, match=r"x\.to\(torch\.float64\)"):
        explainer(x.float())
    with pytest.raises(LRPError, match=r"x\.float\(\)"):
        explainer((x * 10).long())
    with pytest.raises(LRPError, match=r"x is on meta and the model on cpu"):
        explainer(x.to("meta"))
    mixed = build(Plain)
    mixed.classifier.float()
    with pytest.raises(LRPError, match=r"mixes torch\.float32 and torch\.float64"):
        Explainer(mixed)(x)


@pytest.mark.parametrize("name", ["epsilon-plus", "epsilon-plus-flat"])
def test_an_empty_batch(name):
    logits, R = Explainer(build(Plain), name)(sample(Plain)[:0])
    assert logits.shape == (0, 3) and R.shape == (0, 2, 8, 8)


def test_in_place_on_a_value_that_is_used_again():
    class Clobber(nn.Module):
        def forward(self, x):
            y = F.relu(x, inplace=True)
            return x + y

    with pytest.raises(LRPError, match=r"in place"):
        Explainer(Clobber())


def test_assignment_into_a_tensor():
    class Writes(nn.Module):
        def forward(self, x):
            y = x + 1
            y[:, 0] = 0
            return y

    with pytest.raises(LRPError, match=r"assigns into a tensor.*torch\.where"):
        Explainer(Writes())(torch.randn(2, 3))


def test_settings_that_do_not_exist():
    with pytest.raises(LRPError, match=r"logit, one, softmax, difference"):
        Explainer(build(Plain), start="probability")
    with pytest.raises(LRPError, match=r"not a nn.Module"):
        Explainer(lambda x: x)


def test_a_model_on_two_devices_and_an_input_without_a_batch():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    with pytest.raises(LRPError, match=r"batch dimension"):
        Explainer(model)(torch.full((3,), float("nan")))
    model[1].to("meta")
    with pytest.raises(LRPError, match=r"several devices \(cpu, meta\)"):
        Explainer(model)(torch.randn(2, 3))
