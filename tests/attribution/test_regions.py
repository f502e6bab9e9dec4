"""Shares of relevance by region, and inputs that keep nothing but a shape."""

import pytest
import torch

from lrpbook_lib.attribution import (
    equal_volumes,
    flattened,
    region_shares,
    shuffled,
)


def test_shares_are_sums_over_sums():
    relevance = torch.tensor([[[[1.0, 2.0], [-5.0, 3.0]]], [[[0.0, -1.0], [0.0, 0.0]]]])
    regions = torch.tensor([[0, 1], [1, 2]])
    found = region_shares(relevance, regions, ("a", "b", "c", "d"))
    assert [found[name][0].item() for name in "abcd"] == pytest.approx(
        [1 / 6, 1 / 3, 0.5, 0]
    )
    assert all(found[name][1] == 0 for name in "abcd")  # nothing is positive there
    own = torch.stack([regions, regions])
    assert torch.equal(region_shares(relevance, own, "abcd")["b"], found["b"])


def test_a_region_without_a_name_is_refused():
    with pytest.raises(ValueError, match="number 2; 2 are named"):
        region_shares(torch.ones(1, 1, 2, 2), torch.tensor([[0, 1], [1, 2]]), "ab")
    with pytest.raises(ValueError, match="do not fit"):
        region_shares(torch.ones(1, 1, 2, 2), torch.zeros(3, 3), "ab")


def box(edge: int, size: int = 24) -> torch.Tensor:
    inside = torch.zeros(size, size, size, dtype=torch.bool)
    low = (size - edge) // 2
    inside[low : low + edge, low : low + edge, low : low + edge] = True
    return inside


def test_flat_and_shuffled_keep_shape_and_surroundings():
    torch.manual_seed(0)
    x, brain = torch.rand(2, 1, 24, 24, 24), torch.stack([box(8), box(14)])
    flat, mixed = flattened(x, brain), shuffled(x, brain)
    for one, changed in ((0, flat), (1, mixed)):
        assert torch.equal(changed[:, 0][~brain], x[:, 0][~brain]), one
    for i in range(2):
        inside = x[i, 0][brain[i]]
        assert torch.allclose(flat[i, 0][brain[i]], inside.mean())
        again = mixed[i, 0][brain[i]]
        assert torch.equal(again.sort().values, inside.sort().values)
        assert not torch.equal(again, inside)
    assert torch.equal(shuffled(x, brain), mixed)


def test_brains_are_scaled_to_one_volume():
    brain = torch.stack([box(8), box(12), box(16)])
    scaled = equal_volumes(brain[:, None].float(), brain, voxels=12**3)
    volume = (scaled > 0.5).flatten(1).sum(1).float()
    assert volume.tolist() == pytest.approx([12**3] * 3, rel=0.12)
