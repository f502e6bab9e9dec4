"""Maps by name: what they are, and that they leave the model alone."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.attribution import EXPLAINERS, Attribution, explainer
from lrpbook_lib.guidance import GrazPlusLoss, HINTLoss, LRPLoss, RRRLoss
from lrpbook_lib.lrp import COMPOSITES, Composite, Explainer, Gamma
from lrpbook_lib.models import GliomaCNN


class Speaking(nn.Module):
    """A network with a map of its own, coarser than the image."""

    def __init__(self):
        super().__init__()
        self.body = GliomaCNN(2, 3, 16)
        self.look = nn.Conv2d(2, 1, 3, padding=1, stride=4)

    def forward(self, x):
        return self.body(x) + self.look(x).mean((1, 2, 3))[:, None]

    def own_map(self, x, target=None, sign=1):
        return self(x), sign * self.look(x)


def net(dropout=0.5):
    torch.manual_seed(0)
    return GliomaCNN(2, 3, 16, dropout).double()


X = torch.rand(3, 2, 16, 16, dtype=torch.float64, generator=torch.manual_seed(1))
LABEL = torch.tensor([0, 2, 1])
KINDS = ["epsilon-plus", "gradient", "gradient_x_input", "input_gradient", "gradcam"]
KINDS += ["own"]
OWN = [name for name in EXPLAINERS if not name.startswith("captum:") and name != "none"]


def speaking(kind, dropout=0.5):
    torch.manual_seed(0)
    return Speaking().double() if kind == "own" else net(dropout)


@pytest.mark.parametrize("name", OWN)
def test_one_call_for_every_explainer(name):
    model = speaking(name).eval()
    explain = explainer(model, name)
    logits, relevance = explain(X, LABEL)
    torch.testing.assert_close(logits, model(X))
    assert relevance.shape in ((3, 2, 16, 16), (3, 1, 16, 16))
    assert relevance.requires_grad
    with torch.no_grad():
        _, still = explain(X, LABEL)
        _, predicted = explain(X)
        _, said = explain(X, model(X).argmax(1))
        _, second = explain(X, 1)
        _, ones = explain(X, torch.ones_like(LABEL))
    assert not still.requires_grad
    torch.testing.assert_close(still, relevance.detach())
    torch.testing.assert_close(predicted, said)
    torch.testing.assert_close(second, ones)


def test_lrp_is_the_explainer():
    model = net().eval()
    for rules in ("epsilon", Composite(conv=Gamma(0.5))):
        found = explainer(model, rules)(X, LABEL)
        want = Explainer(model, rules, start="logit")(X, LABEL)
        torch.testing.assert_close(found, want)
    assert set(COMPOSITES) < set(EXPLAINERS)


def test_softmax_start_explains_all_classes():
    model = net().eval()
    _, relevance = GrazPlusLoss().explainer(model, "zplus")(X, LABEL)
    _, want = Explainer(model, "zplus", start="softmax")(X, None)
    torch.testing.assert_close(relevance, want)


def test_a_loss_names_what_it_wants():
    model = net()
    assert LRPLoss().explainer(model, "epsilon").composite == COMPOSITES["epsilon"]
    for loss, composite, name in [
        (LRPLoss(), "gradcam", "gradcam"),
        (HINTLoss(), "epsilon", "gradcam"),
        (RRRLoss(), "epsilon", "input_gradient"),
    ]:
        _, found = loss.explainer(model, composite)(X, LABEL)
        torch.testing.assert_close(found, explainer(model, name)(X, LABEL)[1])


def test_one_s_own_explainer_is_a_row(monkeypatch):
    def edges(model, x, target, graph, power=1):
        return model(x), x.diff(dim=-1, append=x[..., :1]).abs() ** power

    monkeypatch.setitem(EXPLAINERS, "edges", partial(Attribution, map=edges))
    assert explainer(net(), "edges", power=2)(X)[1].shape == X.shape
    with pytest.raises(TypeError, match="width"):
        explainer(net(), "edges", width=2)


@pytest.mark.parametrize("name", ["gradient", "input_gradient"])
def test_gradients_by_finite_differences(name):
    model = net().eval()
    _, gradient = explainer(model, name)(X, LABEL)
    v = torch.randn(X.shape, dtype=X.dtype, generator=torch.manual_seed(2))
    step = 1e-6

    def total(x):
        logits = model(x)
        if name == "gradient":
            return logits.gather(1, LABEL[:, None]).sum().item()
        return F.log_softmax(logits, 1).sum().item()

    along = (total(X + step * v) - total(X - step * v)) / (2 * step)
    assert (gradient * v).sum().item() == pytest.approx(along, rel=1e-5)


def test_gradient_times_input_is_their_product():
    model = net().eval()
    _, gradient = explainer(model, "gradient")(X, LABEL)
    _, product = explainer(model, "gradient_x_input")(X, LABEL)
    torch.testing.assert_close(product, gradient * X)


def test_grad_cam_by_hand():
    # One convolution and a mean: the gradient of a logit is its weight over the area.
    torch.manual_seed(3)
    convolution = nn.Conv2d(2, 4, 3, padding=1)
    model = nn.Sequential(
        convolution, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    ).double()
    _, cam = explainer(model, "gradcam", layer="0")(X, LABEL)
    weights = model[3].weight[LABEL] / 256
    want = torch.einsum("bf,bfhw->bhw", weights, convolution(X)).clamp(min=0)
    torch.testing.assert_close(cam[:, 0], want)


def test_a_network_has_the_word_itself():
    model = speaking("own").eval()
    logits, own = explainer(model, "own")(X)
    torch.testing.assert_close(logits, model(X))
    want = F.interpolate(model.look(X), (16, 16), mode="bilinear")
    torch.testing.assert_close(own, want)
    torch.testing.assert_close(explainer(model, "own", sign=-1)(X)[1], -want)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_on_for_logits_and_off_for_the_map(kind):
    model = speaking(kind).train()
    explain = explainer(model, kind)
    torch.manual_seed(4)
    logits, relevance = explain(X, LABEL)
    # LRP runs in channels-last layout, in which dropout draws in another order.
    lrp = kind in COMPOSITES
    layout = torch.channels_last if lrp else torch.contiguous_format
    torch.manual_seed(4)
    torch.testing.assert_close(logits, model(X.contiguous(memory_format=layout)))
    again, same = explain(X, LABEL)
    assert not torch.allclose(logits, again)
    torch.testing.assert_close(relevance, same)
    assert all(module.training for module in model.modules())
    model.eval()
    clean, still = explain(X, LABEL)
    torch.testing.assert_close(still, relevance)
    torch.testing.assert_close(clean, model(X))


@pytest.mark.parametrize("kind", KINDS)
def test_every_map_reaches_the_weights_and_leaves_no_trace(kind):
    model = speaking(kind)
    before = set(dir(model)), [len(m._forward_hooks) for m in model.modules()]
    _, relevance = explainer(model, kind)(X, LABEL)
    gradients = torch.autograd.grad(
        relevance.square().sum(), list(model.parameters()), materialize_grads=True
    )
    assert sum(float(g.abs().sum()) > 0 for g in gradients) >= (kind == "own" or 5)
    assert before == (set(dir(model)), [len(m._forward_hooks) for m in model.modules()])
    assert X.grad is None
    assert not X.requires_grad


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "own"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_every_number_of_axes(kind, axes):
    torch.manual_seed(5)
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
    pool = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[axes - 1]
    model = nn.Sequential(
        convolution(1, 2, 3, padding=1),
        nn.ReLU(),
        pool(2),
        convolution(2, 2, 3, padding=1),
        nn.Flatten(),
        nn.Linear(2 * 2**axes, 2),
    )
    x = torch.rand(2, 1, *[4] * axes)
    _, relevance = explainer(model, kind)(x, torch.tensor([0, 1]))
    assert relevance.shape == x.shape


def test_what_cannot_be():
    with pytest.raises(
        ValueError, match=r"no explainer 'gradcan' .did you mean gradcam"
    ):
        explainer(net(), "gradcan")
    dense = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(ValueError, match="no convolution for Grad-CAM"):
        explainer(dense, "gradcam")(torch.ones(1, 4))
    with pytest.raises(ValueError, match="GliomaCNN has no map of its own"):
        explainer(net(), "own")(X)
