"""Second tasks: what they add to the loss, and where their gradients go."""

import math

import pytest
import torch
import torch.nn.functional as F

from lrpbook_lib.guidance import AdversarialLoss, LRPLoss, SegmentationLoss
from lrpbook_lib.guidance.loss import Told
from lrpbook_lib.models import AdversarialCNN, GliomaCNN, SegmentedCNN

SIZE = 16


def images(samples=4):
    torch.manual_seed(1)
    x = torch.rand(samples, 3, SIZE, SIZE, dtype=torch.float64)
    return x, torch.arange(samples) % 2, torch.tensor([0, 2, 1, 2])[:samples]


def adversary(**settings):
    torch.manual_seed(0)
    return AdversarialCNN(size=SIZE, sites=3, **settings).double().eval()


def test_adversarial_values_by_hand():
    logits, label = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    sites = torch.tensor([[2.0, 0, 0]]).repeat(3, 1)
    told = AdversarialLoss(0.5).tell(logits, label, sites, torch.tensor([0, 2, -1]))
    rest = math.log(math.exp(2) + 2)
    wanted = [math.log(2) + 0.5 * (rest - 2), math.log(2) + 0.5 * rest, math.log(2)]
    assert told.loss.tolist() == pytest.approx(wanted)
    assert isinstance(told, Told) and told.score is None
    with pytest.raises(ValueError, match=r"of site 3, counted from 0.*with sites=4"):
        AdversarialLoss().tell(logits, label, sites, torch.tensor([0, 3, 1]))


def test_the_gradient_is_reversed_where_features_become_sites():
    """Against finite differences of either cross entropy on its own."""
    net, (x, label, site), lam = adversary(), images(), 0.7

    def each():
        logits, sites = net.with_sites(x)
        return F.cross_entropy(logits, label), F.cross_entropy(sites, site)

    logits, sites = AdversarialLoss(lam).explainer(net)(x, label)
    loss = AdversarialLoss(lam).tell(logits, label, sites, site).loss.mean()
    parameters = dict(net.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    found = dict(zip(parameters, gradients, strict=True))
    seen = set()
    for name, p in parameters.items():
        torch.manual_seed(2)
        direction, step, sides = torch.randn_like(p), 1e-6, []
        with torch.no_grad():
            for sign in (1, -2):
                p.add_(direction, alpha=sign * step)
                sides.append([float(value) for value in each()])
            p.add_(direction, alpha=step)
        ce, told = ((a - b) / (2 * step) for a, b in zip(*sides, strict=True))
        part = name.partition(".")[0]
        wanted = {
            "features": ce - lam * told,  # away from what tells the site
            "sites": lam * told,  # the head itself learns to tell it
            "classifier": ce,
        }[part]
        assert float((found[name] * direction).sum()) == pytest.approx(
            wanted, rel=1e-4, abs=1e-7
        ), name
        seen.add(part)
        if part == "features":
            assert abs(lam * told) > 1e-4
    assert seen == {"features", "sites", "classifier"}


def test_second_heads_are_of_no_concern_to_the_first():
    torch.manual_seed(0)
    plain = GliomaCNN(size=SIZE).double().eval()
    x, label, _ = images()
    for net, answer in (
        (SegmentedCNN(size=SIZE), "own_map"),
        (AdversarialCNN(size=SIZE), "with_sites"),
    ):
        net = net.double().eval()
        net.load_state_dict(plain.state_dict(), strict=False)
        logits, more = getattr(net, answer)(x)
        torch.testing.assert_close(logits, plain(x))
        torch.testing.assert_close(net(x), plain(x))
        _, heat = LRPLoss().explainer(net)(x, label)
        _, wanted = LRPLoss().explainer(plain)(x, label)
        torch.testing.assert_close(heat, wanted)
        assert more.shape == ((4, 1, SIZE, SIZE) if answer == "own_map" else (4, 7))


def test_the_segmentation_teaches_every_convolution():
    torch.manual_seed(0)
    net, (x, label, _) = SegmentedCNN(size=SIZE).double().eval(), images()
    mask = torch.zeros(4, SIZE, SIZE)
    mask[:, 4:9, 5:11] = 1
    logits, said = SegmentationLoss().explainer(net)(x, label)
    loss = SegmentationLoss()(logits, label, said, mask, mask + 1)
    ce = F.cross_entropy(logits, label, reduction="none")
    of_mask = torch.autograd.grad(
        (loss - ce).sum(), list(net.parameters()), materialize_grads=True
    )
    taught = {
        name
        for (name, _), g in zip(net.named_parameters(), of_mask, strict=True)
        if g.abs().max() > 0
    }
    names = {n for n, _ in net.named_parameters() if not n.startswith("classifier")}
    assert taught == names


@pytest.mark.parametrize("loss", [SegmentationLoss(), AdversarialLoss()])
def test_a_network_without_a_second_head_is_refused(loss):
    with pytest.raises(ValueError, match=r"second head.*GliomaCNN has none"):
        loss.explainer(GliomaCNN(size=SIZE))
