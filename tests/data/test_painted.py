"""The toy of first steps: painted lesions on an average brain."""

import torch

from lrpbook_lib.data.painted import painted_lesions


def test_half_of_the_slices_carry_a_lesion_inside_the_brain():
    toy = painted_lesions(16, size=32, seed=3, resolution=4)
    assert toy.images.shape == (16, 1, 32, 32)
    assert toy.labels.tolist() == [0, 1] * 8
    assert torch.equal(toy.masks.flatten(1).any(1), toy.labels == 1)
    assert not (toy.masks & ~toy.brain).any()
    assert (toy.images[:, 0][~toy.brain] == 0).all()
    assert (toy.images >= 0).all()


def test_the_seed_decides():
    one, same = (painted_lesions(8, size=32, seed=1, resolution=4) for _ in range(2))
    other = painted_lesions(8, size=32, seed=2, resolution=4)
    assert torch.equal(one.images, same.images)
    assert not torch.equal(one.images, other.images)
