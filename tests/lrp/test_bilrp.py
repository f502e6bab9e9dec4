"""BiLRP against brute force: one neuron, one pair of pixels at a time."""

import pytest
import torch
from torch import nn

from lrpbook_lib.lrp import (
    BiLRP,
    Composite,
    Epsilon,
    Explainer,
    LRPError,
    region_sums,
)

from .nets import Plain, build, sample

RULES = Composite(dense=Epsilon(0.01), conv=Epsilon(0.01))


def pair_of(at="classifier.2", **settings):
    model, x = build(Plain), sample(Plain)
    explainer = Explainer(model, RULES, at=at)
    return explainer, x[:1], x[1:], BiLRP(explainer, **settings)(x[:1], x[1:])


def neuron_by_neuron(explainer, x, other):
    z, z_other = explainer.activation(x), explainer.activation(other)
    total = 0
    for m in range(z.numel()):
        pick = torch.zeros_like(z).flatten()
        pick[m] = 1
        pick = pick.reshape(z.shape)
        left = explainer(x, z * pick)[1].sum(1).flatten()
        right = explainer(other, z_other * pick)[1].sum(1).flatten()
        total = total + left[:, None] * right[None, :]
    return total


@pytest.mark.parametrize("at", ["classifier.2", "features.6"])
@pytest.mark.parametrize("chunk", [64, 3])
def test_equals_brute_force(at, chunk):
    explainer, x, other, pair = pair_of(at, chunk=chunk)
    want = neuron_by_neuron(explainer, x, other)
    ours = pair.dense()
    assert ours.shape == (8, 8, 8, 8)
    torch.testing.assert_close(ours.reshape(64, 64), want)
    torch.testing.assert_close(pair.total, want.sum())


def test_similarity_and_its_sum():
    explainer, x, other, pair = pair_of()
    z, z_other = explainer.activation(x), explainer.activation(other)
    torch.testing.assert_close(pair.similarity, (z * z_other).sum())
    with torch.no_grad():  # nothing is left to absorb
        for name, p in explainer.model.named_parameters():
            if "bias" in name:
                p.zero_()
    exact = Explainer(
        explainer.model, Composite(Epsilon(0.0), Epsilon(0.0)), "features.6"
    )
    pair = BiLRP(exact)(x, other)
    torch.testing.assert_close(pair.total, pair.similarity)


def test_pooling_sums_blocks():
    *_, pair = pair_of()
    whole, blocks = pair.dense(), pair.dense(pool=4)
    assert blocks.shape == (2, 2, 2, 2)
    torch.testing.assert_close(blocks[0, 1, 1, 0], whole[:4, 4:, 4:, :4].sum())
    uneven = pair.dense(pool=3)
    assert uneven.shape == (3, 3, 3, 3)
    torch.testing.assert_close(uneven.sum(), whole.sum())


def test_shares_of_regions():
    *_, pair = pair_of()
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:5, 1:4] = True
    want = pair.dense()[mask][:, mask].sum() / pair.total
    torch.testing.assert_close(pair.share(mask, mask), want)
    four = sum(pair.share(a, b) for a in (mask, ~mask) for b in (mask, ~mask))
    torch.testing.assert_close(four, torch.ones_like(four))
    with pytest.raises(LRPError, match="positions"):
        pair.share(mask[:4], mask)


@pytest.mark.parametrize("at", ["classifier.2", "features.6", None])
@pytest.mark.parametrize("rules", [RULES, "epsilon-plus", "epsilon-gamma-box"])
def test_regions_without_factors_equal_those_from_factors(at, rules):
    model, images = build(Plain), sample(Plain)
    explainer = Explainer(model, rules, at=at)
    x, other = images[:1], images[1:]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:5, 1:4] = True
    masks = torch.stack([inside, ~inside])
    pair = BiLRP(explainer)(x, other)
    want = torch.stack([torch.stack([pair.region(a, b) for b in masks]) for a in masks])
    found = BiLRP(explainer).regions(x, other, masks, masks)
    torch.testing.assert_close(found, want)
    torch.testing.assert_close(found.sum(), pair.total)
    # A batch, with regions of its own for each input, gives each one's sums.
    own = torch.stack([masks, masks.flip(0)])
    both = region_sums(explainer, images, own)
    one = region_sums(explainer, other, masks.flip(0))
    torch.testing.assert_close(both[1:], one)
    with pytest.raises(LRPError, match="masks has shape"):
        region_sums(explainer, images, inside)


def test_random_projection_is_unbiased_and_states_its_error():
    explainer, x, other, exact = pair_of("features.6")
    drawn = [BiLRP(explainer, project=8, seed=s)(x, other) for s in range(60)]
    totals = torch.stack([p.total for p in drawn]).detach()
    spread = float(totals.std())
    assert drawn[0].left.shape[0] == 8
    assert abs(float(totals.mean() - exact.total)) < 4 * spread / 60**0.5
    # The similarity of the projected activations has the spread that is stated.
    z, z_other = (
        explainer.activation(x).flatten(),
        explainer.activation(other).flatten(),
    )
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (4000, 8, z.numel()), generator=generator).double()
    signs = (2 * signs - 1) / 8**0.5
    measured = ((signs @ z) * (signs @ z_other)).sum(1).std()
    assert drawn[0].error == pytest.approx(float(measured), rel=0.1)


def test_inputs_that_have_nothing_in_common():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU()).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    pair = BiLRP(Explainer(model, "epsilon"))(x, x.flip(1))
    assert pair.left.shape == (0, 2)
    assert pair.total == 0 and pair.similarity == 0
    assert pair.share(torch.ones(()), torch.ones(())) == 0


def test_one_against_one():
    explainer, x, *_ = pair_of()
    with pytest.raises(LRPError, match="batch"):
        BiLRP(explainer)(torch.cat([x, x]), x)
    with pytest.raises(LRPError, match="at least 1"):
        BiLRP(explainer, project=0)
