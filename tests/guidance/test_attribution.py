"""Maps for losses: what they are, and that they leave the model alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.attribution import (
    Attributor,
    grad_cam,
    input_gradient,
)
from lrpbook_lib.guidance import (
    GrazPlusLoss,
)
from lrpbook_lib.lrp import Explainer
from lrpbook_lib.models import GliomaCNN


def net(dropout=0.5):
    torch.manual_seed(0)
    return GliomaCNN(2, 3, 16, dropout).double()


X = torch.rand(3, 2, 16, 16, dtype=torch.float64, generator=torch.manual_seed(1))
LABEL = torch.tensor([0, 2, 1])


def test_lrp_is_the_explainer():
    model = net().eval()
    logits, relevance = Attributor(model, "lrp", "epsilon")(X, LABEL)
    want = Explainer(model, "epsilon", start="logit")(X, LABEL)
    torch.testing.assert_close((logits, relevance), want)


def test_softmax_start_explains_all_classes():
    model = net().eval()
    _, relevance = Attributor.of(model, GrazPlusLoss(), "zplus")(X, LABEL)
    _, want = Explainer(model, "zplus", start="softmax")(X, None)
    torch.testing.assert_close(relevance, want)


def test_input_gradient_by_finite_differences():
    model = net().eval()
    logits, gradient = input_gradient(model, X)
    torch.testing.assert_close(logits, model(X))
    v = torch.randn(X.shape, dtype=X.dtype, generator=torch.manual_seed(2))
    step = 1e-6

    def total(x):
        return F.log_softmax(model(x), 1).sum().item()

    along = (total(X + step * v) - total(X - step * v)) / (2 * step)
    assert (gradient * v).sum().item() == pytest.approx(along, rel=1e-5)


def test_grad_cam_by_hand():
    # One convolution and a mean: the gradient of a logit is its weight over the area.
    torch.manual_seed(3)
    convolution = nn.Conv2d(2, 4, 3, padding=1)
    model = nn.Sequential(
        convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).double()
    _, cam = grad_cam(model, X, LABEL, "0")
    weights = model[3].weight[LABEL] / 256
    want = torch.einsum("bf,bfhw->bhw", weights, convolution(X)).clamp(min=0)
    torch.testing.assert_close(cam[:, 0], want)
    _, predicted = grad_cam(model, X, None, "0")
    _, said = grad_cam(model, X, model(X).argmax(1), "0")
    torch.testing.assert_close(predicted, said)


@pytest.mark.parametrize("kind", ["lrp", "input_gradient", "gradcam"])
def test_dropout_is_on_for_logits_and_off_for_the_map(kind):
    model = net().train()
    attributor = Attributor(model, kind)
    torch.manual_seed(4)
    logits, relevance = attributor(X, LABEL)
    # LRP runs in channels-last layout, in which dropout draws in another order.
    layout = torch.channels_last if kind == "lrp" else torch.contiguous_format
    torch.manual_seed(4)
    torch.testing.assert_close(logits, model(X.contiguous(memory_format=layout)))
    again, same = attributor(X, LABEL)
    assert not torch.allclose(logits, again)
    torch.testing.assert_close(relevance, same)
    assert all(module.training for module in model.modules())
    model.eval()
    clean, still = attributor(X, LABEL)
    torch.testing.assert_close(still, relevance)
    torch.testing.assert_close(clean, model(X))


@pytest.mark.parametrize("kind", ["lrp", "input_gradient", "gradcam"])
def test_every_map_reaches_the_weights_and_leaves_no_trace(kind):
    model = net()
    before = set(dir(model)), [len(m._forward_hooks) for m in model.modules()]
    _, relevance = Attributor(model, kind)(X, LABEL)
    gradients = torch.autograd.grad(
        relevance.square().sum(), list(model.parameters()), materialize_grads=True
    )
    assert sum(float(g.abs().sum()) > 0 for g in gradients) >= 5
    assert before == (set(dir(model)), [len(m._forward_hooks) for m in model.modules()])
    assert X.grad is None
    assert not X.requires_grad


def test_three_dimensions():
    torch.manual_seed(5)
    model = nn.Sequential(
        nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 64, 2)
    )
    x = torch.rand(2, 1, 4, 4, 4)
    for kind in ("lrp", "input_gradient", "gradcam"):
        _, relevance = Attributor(model, kind)(x, torch.tensor([0, 1]))
        assert relevance.shape == (2, 1, 4, 4, 4)


def test_what_cannot_be():
    with pytest.raises(ValueError, match="attribution is 'lime'"):
        Attributor(net(), "lime")
    dense = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="no convolution for Grad-CAM"):
        Attributor(dense, "gradcam")
