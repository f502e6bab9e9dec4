"""Captum behind the call of every explainer, and its quirks out of the way."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.attribution import EXPLAINERS, explainer

pytest.importorskip("captum")

NAMES = [name for name in EXPLAINERS if name.startswith("captum:")]
QUICK = {"KernelShap": {"n_samples": 8}, "ShapleyValueSampling": {"n_samples": 1}}
X = torch.rand(2, 3, 16, 16, generator=torch.manual_seed(1))
LABEL = torch.tensor([1, 0])


class Quirky(nn.Module):
    """In place, one layer twice, functions for layers, and a Flatten."""

    def __init__(self, pool):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.act, self.pool = nn.ReLU(inplace=True), pool(2)
        self.flat = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 8))
        self.end = nn.Linear(8, 2)

    def forward(self, x):
        x = self.pool(self.act(self.first(x)))
        x = self.pool(self.act(self.second(x)))
        return self.end(F.relu(self.flat(x)))


def quirky(pool=nn.MaxPool2d):
    torch.manual_seed(0)
    return Quirky(pool)


def settings(name):
    method = name.removeprefix("captum:")
    layer = {"layer": "second"} if "Cam" in method else {}
    return {**QUICK.get(method, {}), **layer}


@pytest.mark.parametrize("name", NAMES)
def test_every_method_answers_and_leaves_no_trace(name):
    model = quirky()
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    names = [set(vars(m)) for m in model.modules()]
    with torch.no_grad():
        logits, relevance = explainer(model, name, **settings(name))(X, LABEL)
    assert logits.shape == (2, 2)
    assert relevance.shape in (X.shape, (2, 1, 16, 16))
    assert relevance.isfinite().all()
    assert not relevance.requires_grad
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert names == [set(vars(m)) for m in model.modules()]
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())
    assert all(m.training for m in model.modules())
    assert model.act.inplace


@pytest.mark.parametrize(
    "name, settings, same, ours",
    [
        ("Saliency", {"abs": False}, "gradient", {}),
        ("InputXGradient", {}, "gradient_x_input", {}),
        (
            "LayerGradCam",
            {"layer": "second", "relu_attributions": True},
            "gradcam",
            {"layer": "second"},
        ),
    ],
)
@pytest.mark.parametrize("target", [LABEL, None, 1])
def test_what_we_have_too_is_the_same(name, settings, same, ours, target):
    model = quirky().eval()  # for Grad-CAM at a layer that is then overwritten
    _, found = explainer(model, f"captum:{name}", **settings)(X, target)
    _, want = explainer(model, same, **ours)(X, target)
    torch.testing.assert_close(found, want.detach())


def test_differences_from_a_baseline_are_whole():
    # DeepLift by itself refuses a layer used twice; with maxima it is not exact.
    model = quirky(nn.AvgPool2d).eval()
    for name in ("DeepLift", "DeepLiftShap", "IntegratedGradients"):
        more = {"n_steps": 500} if name == "IntegratedGradients" else {}
        logits, found = explainer(model, f"captum:{name}", **more)(X, LABEL)
        gone = logits - model(torch.zeros_like(X))
        want = gone.gather(1, LABEL[:, None])[:, 0]
        torch.testing.assert_close(found.sum((1, 2, 3)), want, rtol=1e-2, atol=1e-4)


def test_occlusion_takes_away_one_square_after_the_other():
    model = quirky().eval()
    logits, found = explainer(model, "captum:Occlusion", patch=4)(X, LABEL)
    without = X.clone()
    without[..., 4:8, 8:12] = 0
    change = (logits - model(without)).gather(1, LABEL[:, None])[:, 0]
    for row in (4, 7):
        torch.testing.assert_close(found[:, 0, row, 8], change)


def test_volumes():
    model = nn.Sequential(
        nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 64, 2)
    )
    x = torch.rand(2, 1, 4, 4, 4)
    for name in ("IntegratedGradients", "DeepLift", "Occlusion", "FeatureAblation"):
        _, found = explainer(model, f"captum:{name}", patch=2)(x)
        assert found.shape == x.shape


def test_what_cannot_be(monkeypatch):
    with pytest.raises(TypeError, match=r"no setting steps; it has .*n_steps"):
        explainer(quirky(), "captum:IntegratedGradients", steps=3)(X)
    with pytest.raises(TypeError, match="give its index"):
        explainer(quirky(), "captum:Saliency")(X, torch.ones(2, 2))
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(ImportError, match=r"Lime comes from captum.*pip install"):
        explainer(quirky(), "captum:Lime")(X)
