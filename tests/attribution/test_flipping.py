"""Curves of flipping, on networks that add up pixels, and their level by chance."""

import pytest
import torch
from torch import nn

from lrpbook_lib.attribution import flip_regions, imputer, random_map
from lrpbook_lib.attribution.flipping import tile_ranks, tiles
from lrpbook_lib.models import GliomaCNN

from .small import Linear, noise

BLACK = imputer("mean", value=0)


def test_curves_by_hand():
    model = Linear(torch.tensor([[[4.0, 3], [2, 1]]]))
    x = torch.ones(1, 1, 2, 2)
    found = flip_regions(
        model, x, x * model.weight, 0, steps=4, tile=1, fill=BLACK, output="logit"
    )
    assert found.morf.tolist() == [[10, 6, 3, 1, 0]]
    assert found.lerf.tolist() == [[10, 9, 7, 4, 0]]
    torch.testing.assert_close(found.abpc, torch.tensor([10 / 5]))
    torch.testing.assert_close(found.aopc, torch.tensor([(4 + 7 + 9 + 10) / 5]))
    torch.testing.assert_close(found.deletion, torch.tensor([(5 + 6 + 3 + 1) / 4]))
    torch.testing.assert_close(found.insertion, torch.tensor([(5 + 9 + 7 + 4) / 4]))
    # Probabilities of the predicted class.
    found = flip_regions(model, x, x * model.weight, steps=4, tile=1, fill=BLACK)
    torch.testing.assert_close(found.lerf, torch.tensor([[10.0, 9, 7, 4, 0]]).sigmoid())


def test_insertion_is_putting_the_first_pixels_back():
    torch.manual_seed(0)
    model, x = GliomaCNN(1, 3, 16).eval(), noise(2, 1, 16, 16)
    heat = noise(2, 1, 16, 16, seed=1)
    found = flip_regions(model, x, heat, 2, steps=5, tile=4, fill="mean")
    rank, count = tile_ranks(heat, 4)
    for k, curve in enumerate(found.lerf.flip(1).T):
        back = rank < k * count // 5
        image = torch.where(back[:, None], x, x.mean((2, 3), keepdim=True))
        want = model(image).softmax(1)[:, 2].detach()
        torch.testing.assert_close(curve, want, rtol=1e-4, atol=1e-5)


def test_tiles_in_one_to_three_dimensions():
    number, count = tiles(torch.zeros(1, 1, 3, 5), 2)
    assert count == 6
    assert number.tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    assert tiles(torch.zeros(1, 1, 7), 3)[1] == 3
    heat = torch.zeros(1, 2, 3, 5)
    heat[0, 0, 2, 4] = 1.0  # alone in its tile of one pixel
    heat[0, 1, 0:2, 0:2] = 0.6  # more together, less on average
    rank, _ = tile_ranks(heat, 2)
    assert rank[0, 2, 4] == 0 and (rank[0, 0:2, 0:2] == 1).all()
    assert sorted(rank.unique().tolist()) == list(range(6))
    rank, count = tile_ranks(noise(2, 1, 4, 5, 6), 2)
    assert rank.shape == (2, 4, 5, 6) and count == 2 * 3 * 3


def test_ties_are_drawn_not_read_off_the_page():
    rank, count = tile_ranks(torch.zeros(2, 1, 8, 8), 1)
    assert (rank[0] == rank[1]).all()
    first = (rank[0] < count // 2).float()
    assert 20 < first[:4].sum() + first[:, :4].sum() < 44  # not the upper left
    assert (tile_ranks(torch.zeros(2, 1, 8, 8), 1, seed=1)[0] != rank).any()


@pytest.mark.parametrize("space", [(8, 8), (6, 6, 6)])
def test_truth_is_above_chance_and_chance_is_zero(space):
    weight = noise(1, *space) - 0.5
    model, x = Linear(weight), noise(40, 1, *space, seed=1)
    settings = {"steps": 8, "tile": 2, "fill": BLACK, "output": "logit"}
    true = flip_regions(model, x, x * weight, 0, **settings)
    blind = flip_regions(model, x, random_map(x), 0, **settings)
    wrong = flip_regions(model, x, -x * weight, 0, **settings)
    assert (true.abpc > blind.abpc).all() and (true.deletion < blind.deletion).all()
    assert blind.abpc.mean().abs() < 0.2 * true.abpc.mean()
    torch.testing.assert_close(wrong.abpc, -true.abpc)
    torch.testing.assert_close(wrong.morf, true.lerf)


def test_only_two_forward_passes_a_step():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.images = GliomaCNN(3, 2, 32), 0

        def forward(self, x):
            self.images += len(x)
            return self.model(x)

    model = Counting()
    flip_regions(model, noise(100, 3, 32, 32), noise(100, 1, 32, 32), steps=20)
    assert model.images == 100 * (2 * 19 + 2)
