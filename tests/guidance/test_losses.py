"""Losses against their formulas, closed-form gradients and finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lrpbook_lib.guidance import (
    LOSSES,
    BCELoss,
    CrossEntropy,
    EnergyLoss,
    GrazPlusLoss,
    HINTLoss,
    L1Loss,
    LogRatioLoss,
    LRPLoss,
    RRRLoss,
    Schedule,
    SegmentationLoss,
    SelfNormalizedLoss,
    tumor_lrp_score,
)

MASKS = ("tumor", "brain")  # the one that wants sites has tests of its own
ALL = [kind() for kind in LOSSES.values() if kind.wants == MASKS] + [
    LRPLoss(2, floor=0),
    LRPLoss(1, detach=True),
    LRPLoss(1, pooled=True),
    GrazPlusLoss(region="brain"),
    EnergyLoss(positive="channel"),
    LogRatioLoss(area_normalized=True),
]


def name(loss):
    return repr(loss)


class Small(nn.Sequential):
    """With a second head, for the losses that want one."""

    def own_map(self, x, target=None):
        return self(x), (self[:2](x) * self.second).sum(1, keepdim=True)


def small_net(seed=0, size=8):
    torch.manual_seed(seed)
    net = Small(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * (size // 2) ** 2, 2),
    )
    net.second = nn.Parameter(torch.randn(4, 1, 1))
    return net.double()


def batch(samples=4, size=8, seed=1):
    torch.manual_seed(seed)
    x = torch.rand(samples, 2, size, size, dtype=torch.float64) + 0.1
    label = torch.arange(samples) % 2
    mask = torch.zeros(samples, size, size, dtype=torch.long)
    mask[:, 2:5, 3:6] = 4
    brain = torch.zeros(samples, size, size, dtype=torch.bool)
    brain[:, 1:-1, 1:-1] = True
    return x, label, mask, brain


def per_sample(loss, net, data):
    x, label, mask, brain = data
    logits, relevance = loss.explainer(net)(x, label)
    return loss(logits, label, relevance, mask, brain)


def gradient(value, net):
    found = torch.autograd.grad(
        value, list(net.parameters()), materialize_grads=True, retain_graph=True
    )
    return torch.cat([g.flatten() for g in found])


@pytest.mark.parametrize("loss", ALL, ids=name)
def test_gradients_agree_with_finite_differences(loss):
    # What is held fixed by design has a gradient that is not the loss's own.
    if isinstance(loss, SelfNormalizedLoss) or getattr(loss, "detach", False):
        pytest.skip("stops a gradient by design: see the closed forms")
    net, data = small_net(), batch()
    found = gradient(per_sample(loss, net, data).mean(), net)
    torch.manual_seed(2)
    parameters = list(net.parameters())
    for _ in range(3):
        direction = [torch.randn_like(p) for p in parameters]
        step, values = 1e-6, []
        for sign in (1, -1):
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.add_(sign * step * d)
            values.append(per_sample(loss, net, data).mean().item())
            with torch.no_grad():
                for p, d in zip(parameters, direction, strict=True):
                    p.sub_(sign * step * d)
        along = found @ torch.cat([d.flatten() for d in direction])
        measured = (values[0] - values[1]) / (2 * step)
        assert measured == pytest.approx(along.item(), rel=1e-5, abs=1e-8)


def closed_forms():
    """Loss, and its gradient from CE, s, grad CE and grad s."""
    for k in (1, 2, 3):
        yield (
            LRPLoss(k, floor=0),
            lambda ce, s, gc, gs, k=k: s**-k * (gc - k * ce / s * gs),
        )
        yield LRPLoss(k, floor=0, detach=True), lambda ce, s, gc, gs, k=k: s**-k * gc
        yield (
            SelfNormalizedLoss(k, floor=0),
            lambda ce, s, gc, gs, k=k: gc - k * ce / s * gs,
        )
        yield LogRatioLoss(k, floor=0), lambda ce, s, gc, gs, k=k: gc - k / s * gs
        yield EnergyLoss(k), lambda ce, s, gc, gs, k=k: gc - k * gs

        def floored(ce, s, gc, gs, k=k):
            low = 0.2 ** (1 / k)  # the factor t^-k is then 1 / 0.2 at most
            t = low + (1 - low) * s
            return t**-k * (gc - k * ce / t * (1 - low) * gs)

        yield LRPLoss(k, floor=0.2), floored


@pytest.mark.parametrize("loss, form", closed_forms())
def test_gradients_agree_with_the_closed_form(loss, form):
    net, (x, label, mask, brain) = small_net(), batch(samples=1)
    logits, relevance = loss.explainer(net)(x, label)
    ce = F.cross_entropy(logits, label)
    s = tumor_lrp_score(relevance, mask, brain)[0]
    assert 0 < s < 1
    want = form(ce.detach(), s.detach(), gradient(ce, net), gradient(s, net))
    value = loss(logits, label, relevance, mask, brain)[0]
    torch.testing.assert_close(gradient(value, net), want)
    # The effective weight is that of the same form: dL ~ grad CE - weight * grad s.
    weight = loss.weight(ce[None], s[None])
    by_ce = form(ce.detach(), s.detach(), 1.0, 0.0)
    by_score = form(ce.detach(), s.detach(), 0.0, 1.0)
    assert weight.item() == pytest.approx(-float(by_score) / float(by_ce))


def test_values_by_hand():
    # CE = log 2; positive relevance 1 in the tumor of 4 in the brain: s = 1/4.
    logits, label = torch.zeros(1, 2), torch.tensor([1])
    relevance = torch.tensor([[[[1.0, -7.0], [2.0, 1.0]]]])
    mask = torch.tensor([[[1, 0], [0, 0]]])
    brain = torch.ones(1, 2, 2, dtype=torch.bool)
    given = (logits, label, relevance, mask, brain)
    ce = math.log(2)
    expected = {
        LRPLoss(2, floor=0): ce * 16,
        LRPLoss(1, floor=0.2): ce / 0.4,
        LRPLoss(1, floor=0, detach=True): ce * 4,
        SelfNormalizedLoss(3): ce,
        LogRatioLoss(0.5, floor=0): ce + 0.5 * math.log(4),
        EnergyLoss(2): ce + 1.5,
        GrazPlusLoss(0.5): ce - 0.5 * 1,
        GrazPlusLoss(1, region="brain"): ce + 3,
        RRRLoss(0.1): ce + 0.1 * (49 + 4 + 1),
        # The map over its maximum: 1/2, 0, 1, 1/2 against 1, 0, 0, 0.
        HINTLoss(1): ce + (1 / 4 + 0 + 1 + 1 / 4) / 4,
        L1Loss(1): ce + (1 / 2 + 0 + 1 + 1 / 2) / 4,
    }
    for loss, want in expected.items():
        assert loss(*given).tolist() == [pytest.approx(want)], loss
    # Softplus by pixel, u being 1, -7, 2, 1; and two sums over the brain.
    u, inside = [1, -7, 2, 1], [1, 0, 0, 0]
    pixel = sum(
        math.log(1 + math.exp(v)) - m * v for v, m in zip(u, inside, strict=True)
    )
    p = [1 / (1 + math.exp(-v)) for v in u]
    overlap = (1 + 2 * p[0]) / (1 + sum(p) + 1)
    want = ce + 0.5 * (pixel / 4 + 1 - overlap)
    assert SegmentationLoss(0.5)(*given).tolist() == [pytest.approx(want)]
    a, b = 0.001, 0.999
    bce = -(math.log(0.5) + math.log(b) + math.log(1 - b) + math.log(0.5)) / 4
    assert BCELoss(1)(*given).tolist() == [pytest.approx(ce + bce, rel=1e-4)]
    assert a + b == 1


def test_pooled_is_the_published_batch_formula():
    net, (x, label, mask, brain) = small_net(), batch()
    mask[3] = 0
    loss = LRPLoss(2, floor=0, pooled=True)
    logits, relevance = loss.explainer(net)(x, label)
    ce = F.cross_entropy(logits, label, reduction="none")
    s = tumor_lrp_score(relevance, mask, brain)[:3].mean()
    found = loss(logits, label, relevance, mask, brain)
    torch.testing.assert_close(found[:3], ce[:3] / s**2)
    torch.testing.assert_close(found[3], ce[3])


@pytest.mark.parametrize("loss", ALL, ids=name)
def test_without_a_mask_it_is_cross_entropy_alone(loss):
    net, (x, label, mask, brain) = small_net(), batch()
    mask[1], brain[1] = 0, False  # nothing is marked of it
    value = per_sample(loss, net, (x, label, mask, brain))
    ce = F.cross_entropy(net(x), label, reduction="none")
    assert value.shape == (4,)
    torch.testing.assert_close(value[1], ce[1])
    torch.testing.assert_close(gradient(value[1], net), gradient(ce[1], net))


@pytest.mark.parametrize("loss", ALL, ids=name)
@pytest.mark.parametrize("trouble", ["black", "negative", "outside", "no brain"])
def test_bad_input_gives_finite_numbers(loss, trouble):
    net, (x, label, mask, brain) = small_net(), batch()
    if trouble == "black":
        x[0] = 0
    if trouble == "outside":
        mask[:] = 0
        mask[:, 0, 0] = 1  # a corner, which is not in the brain
    if trouble == "no brain":
        brain[:] = False
    logits, relevance = loss.explainer(net)(x, label)
    if trouble == "negative" and relevance is not None:
        relevance = -relevance.abs()
    value = loss(logits, label, relevance, mask, brain).mean()
    assert value.isfinite()
    assert gradient(value, net).isfinite().all()


def test_relevance_left_out_is_said():
    x, label, mask, brain = batch()
    with pytest.raises(ValueError, match="LRPLoss wants relevance"):
        LRPLoss()(small_net()(x), label, None, mask, brain)


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: LRPLoss(-1), "power=-1 must be 0 or more"),
        (lambda: LRPLoss(floor=1), r"floor=1 lies outside \[0, 1\)"),
        (lambda: LRPLoss(float("nan")), "power=nan"),
        (lambda: EnergyLoss(-0.1), "lam=-0.1"),
        (lambda: L1Loss(-1), "lam=-1"),
        (lambda: GrazPlusLoss(region="head"), "'tumor' or 'brain'"),
        (lambda: EnergyLoss(positive="both"), "'sum' or 'channel'"),
        (lambda: Schedule(delay=-1), "delay=-1"),
        (lambda: Schedule(half_life=0), "half_life=0"),
    ],
)
def test_settings_out_of_range(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_strength_is_what_a_schedule_scales():
    assert LRPLoss(2).scaled(0.25) == LRPLoss(0.5)
    assert RRRLoss(10).scaled(0.5).lam == 5
    assert CrossEntropy().scaled(0.3) == CrossEntropy()
    net, data = small_net(), batch()
    ce = F.cross_entropy(net(data[0]), data[1], reduction="none")
    for loss in ALL:
        torch.testing.assert_close(per_sample(loss.scaled(0.0), net, data), ce)


def test_schedule_by_hand():
    schedule = Schedule(delay=1, warmup=2, half_life=4)
    found = [schedule(t) for t in (0, 1, 1.5, 2, 3, 7, 11)]
    assert found == pytest.approx([0, 0, 0.25, 0.5, 1, 0.5, 0.25])
    assert [Schedule()(t) for t in (0, 5)] == [1, 1]
    ends = Schedule(warmup=2, until=3)
    assert [ends(t) for t in (1, 2.9, 3, 9)] == [0.5, 1, 0, 0]
    pulses = Schedule(delay=1, pulse=2)
    assert [pulses(t) for t in range(8)] == [0, 1, 1, 0, 0, 1, 1, 0]


def test_half_precision_logits_are_taken():
    x, label, mask, brain = batch()
    logits = small_net()(x).to(torch.bfloat16)
    value = CrossEntropy()(logits, label, None, mask, brain)
    assert value.dtype == torch.float32


def test_graz_plus_guides_into_a_brain_without_a_tumor():
    """As on heads, where no tumor is marked; by hand, CE minus what lies inside."""
    torch.manual_seed(0)
    logits, label = torch.randn(2, 2), torch.tensor([0, 1])
    relevance = torch.rand(2, 1, 4, 5, 6)
    brain = torch.rand(2, 4, 5, 6) > 0.5
    brain[1] = False
    none = torch.zeros_like(brain)
    found = GrazPlusLoss(2.0, region="brain")(logits, label, relevance, none, brain)
    ce = torch.nn.functional.cross_entropy(logits, label, reduction="none")
    inside = relevance[0, 0][brain[0]].sum()
    assert torch.allclose(found, torch.stack([ce[0] - 2 * inside, ce[1]]))
    assert torch.equal(GrazPlusLoss(2.0)(logits, label, relevance, none, brain), ce)
