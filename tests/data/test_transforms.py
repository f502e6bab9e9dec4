"""Backgrounds erased and swapped, scanners drawn: what changes, and what may not."""

import numpy as np
import pytest
import torch

from lrpbook_lib.data import (
    Augment,
    Augmented,
    EraseBackground,
    RandomizeScanner,
    SliceSet,
    SwapBackground,
)
from lrpbook_lib.data.augment import TRANSFORMS

SIZE = 16


def people(patients=6, each=2):
    """Slices whose every pixel tells whose it is: the patient's number, tumor + 0.5."""
    n = patients * each
    owner = np.arange(n) // each
    brain = np.zeros((n, SIZE, SIZE), dtype=bool)
    tumor = np.zeros_like(brain)
    for i in range(n):
        brain[i, 2 : 12 + i % 3, 2:13] = True
        tumor[i, 3 + i % 5 : 7 + i % 5, 4:8] = True
    tumor[0] = False  # of one, it is not known where it is
    images = 1.0 + owner[:, None, None, None] + 0.5 * tumor[:, None]
    images = np.repeat(images, 2, axis=1) * brain[:, None]
    names = [f"p{k}" for k in owner]
    return SliceSet.from_arrays(images, owner % 2, tumor, brain, names)


def seen(transform, data=None, seed=0, epoch=0):
    data = data or people()
    augmented = Augmented(data, transform, seed)
    augmented.set_epoch(epoch)
    return data, augmented.batch(range(len(data)))


def test_erased_is_everything_but_the_tumor():
    data, batch = seen(EraseBackground(share=1.0))
    inside = torch.from_numpy(data.tumor > 0)[:, None].expand(-1, 2, -1, -1)
    image, before = batch["image"], torch.from_numpy(data.images)
    assert (image[inside] == before[inside]).all()
    assert (image[1:][~inside[1:]] == 0).all()
    assert (image[0] == before[0]).all(), "without a mask nothing can be erased"
    assert torch.equal(batch["brain"], torch.from_numpy(data.brain))


def test_a_share_of_the_samples_and_others_in_every_epoch():
    erased = []
    for epoch in range(40):
        data, batch = seen(EraseBackground(share=0.25), epoch=epoch)
        same = (batch["image"] == torch.from_numpy(data.images)).flatten(1).all(1)
        erased.append((~same)[1:].tolist())
    assert np.mean(erased) == pytest.approx(0.25, abs=0.06)
    assert len(set(map(tuple, erased))) > 20
    data, batch = seen(EraseBackground(share=0.0))
    assert torch.equal(batch["image"], torch.from_numpy(data.images))


def test_swapped_is_the_same_tumor_in_another_patients_brain():
    data, batch = seen(SwapBackground(share=1.0))
    before, came_from = torch.from_numpy(data.images), set()
    for i in range(1, len(data)):
        image, brain = batch["image"][i], batch["brain"][i]
        inside, own = torch.from_numpy(data.tumor[i] > 0), int(data.patient[i][1:])
        assert (image[:, inside] == before[i][:, inside]).all()
        assert brain[inside].all()
        assert (image[:, ~brain] == 0).all()
        # One value everywhere: the donor's tumor, half a unit brighter, is filled.
        (value,) = image[:, brain & ~inside].unique().tolist()
        donor = int(value) - 1
        assert value == donor + 1 and donor != own
        came_from.add((own, donor))
        outline = [torch.from_numpy(data.brain[k]) for k in np.arange(2) + 2 * donor]
        assert any(torch.equal(brain, each | inside) for each in outline)
    assert len(came_from) > 6
    assert torch.equal(batch["image"][0], before[0])
    assert torch.equal(batch["tumor"], torch.from_numpy(data.tumor.astype("i8")))
    assert torch.equal(batch["label"], torch.from_numpy(data.labels))


def test_a_swap_wants_other_patients():
    with pytest.raises(ValueError, match="wants samples of other patients"):
        seen(SwapBackground(), people(patients=1))


def test_a_scanner_changes_the_brain_and_nothing_else():
    data, batch = seen(RandomizeScanner(share=1.0))
    image, brain = batch["image"], torch.from_numpy(data.brain)
    assert (image[~brain[:, None].expand_as(image)] == 0).all()
    changed = (image - torch.from_numpy(data.images)).abs().flatten(1).amax(1)
    assert (changed > 0.05).all()
    assert len({round(float(c), 5) for c in changed}) == len(data), "each its own"
    assert torch.equal(batch["tumor"], torch.from_numpy(data.tumor.astype("i8")))
    nothing = RandomizeScanner(share=1.0, bias=0, gamma=0, blur=0, noise=0)
    _, same = seen(nothing)
    torch.testing.assert_close(same["image"], torch.from_numpy(data.images))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_seed_epoch_and_position_decide_alone(name):
    transform = TRANSFORMS[name](after=Augment(shift=0.1))
    data, batch = seen(transform, epoch=3)
    torch.manual_seed(5)  # neither torch's own numbers
    np.random.seed(5)  # noqa: NPY002  nor numpy's
    one_by_one = Augmented(data, transform, 0)
    one_by_one.set_epoch(3)
    state = torch.get_rng_state()
    for i in (7, 0, 3):  # nor the company
        item = one_by_one[i]
        for part in ("image", "tumor", "brain"):
            assert torch.equal(item[part], batch[part][i]), part
            assert item[part].dtype == batch[part].dtype
    assert torch.equal(torch.get_rng_state(), state)
    _, other = seen(transform, epoch=4)
    assert not torch.equal(other["image"], batch["image"])
    # What comes before happens to all, in the way that it would alone.
    _, turned = seen(Augment(shift=0.1), epoch=3)
    assert torch.equal(batch["tumor"], turned["tumor"])
    same = (batch["image"] == turned["image"]).flatten(1).all(1)
    assert 0 < same.sum() < len(data)


def test_volumes_are_taken():
    torch.manual_seed(0)
    image = torch.rand(2, 1, 6, 8, 8)
    tumor, brain = torch.zeros(2, 6, 8, 8), torch.ones(2, 6, 8, 8)
    tumor[:, 2:4, 2:4, 2:4] = 1
    for kind in TRANSFORMS.values():
        transform = kind(share=1.0)
        donors = (image.flip(0), tumor, brain) if transform.donors else ()
        made, *_ = transform(image, tumor, brain, None, *donors)
        assert made.shape == image.shape
        assert not torch.equal(made, image)


def test_a_share_that_is_none():
    with pytest.raises(ValueError, match=r"share=2 lies outside 0 to 1"):
        EraseBackground(share=2)
