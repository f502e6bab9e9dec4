"""What takes the place of pixels, against values found by hand."""

import pytest
import torch

from lrpbook_lib.attribution import IMPUTERS, choose_donors, imputer

from .small import noise


def hole(*shape, at):
    region = torch.zeros(shape, dtype=torch.bool)
    region[at] = True
    return region


def ramp(*space):
    """A linear function of the place, in two channels."""
    axes = torch.meshgrid(*[torch.arange(float(n)) for n in space], indexing="ij")
    plane = sum((k + 1.0) * axis for k, axis in enumerate(axes))
    return torch.stack([plane, 3 - plane])[None]


def test_mean():
    x = torch.tensor([[[[1.0, 2], [3, 6]], [[0, 0], [0, 4]]]])
    region = hole(1, 2, 2, at=(0, 0, 0))
    filled = imputer("mean")(x, region)
    assert filled[0, :, 0, 0].tolist() == [3, 1]
    kept = ~region[:, None].expand_as(x)
    assert (filled[kept] == x[kept]).all()
    source = hole(1, 2, 2, at=(0, 1))  # the lower row
    assert imputer("mean")(x, region, source)[0, :, 0, 0].tolist() == [4.5, 2]
    assert imputer("mean", value=7)(x, region)[0, :, 0, 0].tolist() == [7, 7]
    both = imputer("mean", value=(7, 8))(x, region[:, None])
    assert both[0, :, 0, 0].tolist() == [7, 8]


def test_blur_is_the_weighted_mean_of_what_is_seen():
    x = noise(1, 1, 5, 4)
    row, column = torch.meshgrid(torch.arange(5), torch.arange(4), indexing="ij")
    weight = (-((row - 2) ** 2 + (column - 1) ** 2) / (2 * 1.5**2)).exp()
    region = hole(1, 5, 4, at=(0, 2, 1))
    found = imputer("blur", sigma=1.5)(x, region)[0, 0, 2, 1]
    torch.testing.assert_close(found, (weight * x[0, 0]).sum() / weight.sum())
    weight[2, 1] = 0  # inpainting looks at what is left
    found = imputer("inpaint", sigma=1.5)(x, region)[0, 0, 2, 1]
    torch.testing.assert_close(found, (weight * x[0, 0]).sum() / weight.sum())
    weight[:, 3] = 0
    found = imputer("inpaint", sigma=1.5)(x, region, (column < 3)[None])
    torch.testing.assert_close(
        found[0, 0, 2, 1], (weight * x[0, 0]).sum() / weight.sum()
    )


def test_one_pixel_of_noisy_linear_by_hand():
    x = noise(1, 2, 3, 3)
    weight = torch.tensor([[1.0, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    fill = imputer("noisy_linear", noise=0)
    found = fill(x, hole(1, 3, 3, at=(0, 1, 1)))
    torch.testing.assert_close(found[0, :, 1, 1], (weight * x[0]).sum((1, 2)))
    found = fill(x, hole(1, 3, 3, at=(0, 0, 0)))  # a corner has three neighbors
    want = (2 * x[0, :, 0, 1] + 2 * x[0, :, 1, 0] + x[0, :, 1, 1]) / 5
    torch.testing.assert_close(found[0, :, 0, 0], want)


@pytest.mark.parametrize("space", [(9,), (9, 12), (6, 7, 8), (4, 20, 20)])
def test_noisy_linear_continues_a_ramp(space):
    x = ramp(*space)
    region = hole(1, *space, at=(0, *[slice(1, -1)] * len(space)))
    broken = torch.where(region[:, None], 99.0, x)
    found = imputer("noisy_linear", noise=0)(broken, region)
    torch.testing.assert_close(found, x, rtol=1e-4, atol=1e-4)


def test_noisy_linear_with_nothing_to_go_by():
    x = noise(2, 1, 4, 4)
    everything = torch.ones(2, 4, 4)
    found = imputer("noisy_linear", noise=0)(x, everything)
    torch.testing.assert_close(found, x.mean((2, 3), keepdim=True).expand_as(x))
    rough = imputer("noisy_linear", noise=0.1, seed=3)(x, everything) - found
    torch.testing.assert_close(rough[0], rough[1])
    assert 0.03 < rough.std() < 0.3
    source = hole(1, 4, 4, at=(0, slice(None), slice(2))).expand(2, 4, 4)
    far = hole(2, 4, 4, at=(slice(None), slice(None), 3))  # beyond the source
    found = imputer("noisy_linear", noise=0)(x, far, source)
    want = x[..., :2].mean((2, 3)).expand(2, 4)
    torch.testing.assert_close(found[:, 0, :, 3], want)


@pytest.mark.parametrize("name", ["mean", "blur", "inpaint", "noisy_linear"])
@pytest.mark.parametrize("space", [(7, 9), (5, 6, 7)])
def test_every_filling(name, space):
    x = noise(3, 2, *space)
    region = noise(3, *space, seed=1) < 0.4
    fill = imputer(name)
    found = fill(x, region)
    kept = ~region[:, None].expand_as(x)
    assert found.shape == x.shape and (found[kept] == x[kept]).all()
    assert (found[~kept] != x[~kept]).all() and torch.isfinite(found).all()
    assert x.min() - 0.1 < found.min() and found.max() < x.max() + 0.1
    torch.testing.assert_close(found, fill(x, region))
    # An image is filled alike alone and in a batch; nothing to fill changes nothing.
    torch.testing.assert_close(found[1:2], fill(x[1:2], region[1:2]))
    assert (fill(x, torch.zeros(3, *space)) == x).all()
    assert fill(x.double(), region).dtype == torch.float64


def test_donors_are_whole_where_they_are_needed():
    region = hole(2, 4, 4, at=(slice(None), slice(2), slice(2)))
    healthy = torch.ones(3, 4, 4, dtype=torch.bool)
    healthy[1, 0, 0] = healthy[0] = False
    patient = torch.tensor([0, 1, 2])
    allowed = patient[:2, None] != patient
    assert choose_donors(region, healthy, allowed).tolist() == [2, 2]
    allowed[0, 2] = False
    assert choose_donors(region, healthy, allowed).tolist() == [1, 2]
    equal = [choose_donors(region, healthy[[2, 2, 2]], allowed, s) for s in range(9)]
    assert len({int(each[1]) for each in equal}) == 2
    x, images = noise(2, 1, 4, 4), noise(3, 1, 4, 4, seed=1)
    found = imputer("donor", images=images[[1, 2]])(x, region)
    assert (found[..., :2, :2] == images[[1, 2], :, :2, :2]).all()
    assert (found[..., 2:] == x[..., 2:]).all()
    with pytest.raises(ValueError, match="one donor for each"):
        imputer("donor", images=images)(x, region)
    with pytest.raises(ValueError, match="no donor"):
        choose_donors(region, healthy, allowed & False)


def test_found_by_name():
    assert set(IMPUTERS) > {"mean", "blur", "noisy_linear", "donor"}
    fill = imputer("blur", sigma=2)
    assert imputer(fill) is fill
    with pytest.raises(ValueError, match="'gray'; it takes one of"):
        imputer("gray")
