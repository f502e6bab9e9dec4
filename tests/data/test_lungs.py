"""Lungs from the density of air: on a drawn chest, and against experts."""

import numpy as np
import pytest

from lrpbook_lib.data import lung_mask

WINDOW = (-1350.0, 150.0)


def ellipse(center, radii, size=96):
    y, x = np.mgrid[:size, :size]
    return ((y - center[0]) / radii[0]) ** 2 + ((x - center[1]) / radii[1]) ** 2 <= 1


def chest():
    """HU of a body on a hollow couch, with a trachea and a vessel; and its lungs."""
    body = ellipse((44, 48), (32, 42))
    lungs = ellipse((44, 28), (20, 13)) | ellipse((44, 68), (20, 13))
    image = np.where(body, 40.0, -1000.0)
    image[lungs] = -820
    image[ellipse((34, 48), (4, 4))] = -1000  # trachea
    image[ellipse((44, 28), (2, 2))] = 40  # vessel
    image[82:96, 10:86] = 0  # couch, of the size of a lung
    image[84:94, 12:84] = -900
    return image, lungs


def gray(image):
    low, high = WINDOW
    return (np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def dice(a, b):
    return 2 * (a & b).sum((-1, -2)) / (a.sum((-1, -2)) + b.sum((-1, -2)))


def test_drawn_lungs_in_hu_and_gray():
    image, lungs = chest()
    assert (lung_mask(image) == lungs).all()
    assert (lung_mask(image.astype(np.int16)) == lungs).all()
    assert (lung_mask(gray(image), WINDOW) == lungs).all()
    assert (lung_mask(gray(image)) == lungs).all()  # Otsu
    both = lung_mask(np.stack([gray(image), gray(image)[:, ::-1]]))
    assert (both == [lungs, lungs[:, ::-1]]).all()


def test_lungs_cut_by_the_border_and_bars_around():
    image, lungs = chest()
    inner = (slice(20, 68), slice(17, 78))  # through both lungs
    cut, want = gray(image)[inner], lungs[inner]
    assert dice(lung_mask(cut), want) > 0.97
    barred = np.pad(cut, ((12, 12), (0, 0)))
    found = lung_mask(barred)
    assert not found[:12].any() and not found[-12:].any()
    assert dice(found[12:-12], want) > 0.93  # the blurred edge of the bars is given up


def test_nothing_to_find():
    solid = np.where(ellipse((44, 48), (32, 42)), 40.0, -1000.0)
    assert not lung_mask(solid).any()
    assert not lung_mask(np.zeros((32, 32), np.uint8)).any()
    assert lung_mask(np.zeros((0, 32, 32))).shape == (0, 32, 32)


def test_bad_images_say_what_to_give():
    with pytest.raises(ValueError, match="one channel"):
        lung_mask(np.zeros((2, 3, 8, 8)))
    with pytest.raises(ValueError, match="NaN"):
        lung_mask(np.full((8, 8), np.nan))
    with pytest.raises(ValueError, match="-320 HU"):
        lung_mask(np.zeros((8, 8)), window=(0, 100))


def test_against_the_experts_of_lctsc(real):
    with np.load(real("lctsc/lctsc_lungs_128.npz")) as file:
        images, lungs, case = (file[name] for name in ("images", "lungs", "case"))
    exact = dice(lung_mask(images, WINDOW), lungs)
    unknown = dice(lung_mask(images), lungs)
    by_case = [exact[case == name].mean() for name in np.unique(case)]
    assert exact.mean() > 0.95 and min(by_case) > 0.94
    assert unknown.mean() > 0.92
    # The level by chance: the lungs of somebody else.
    other = np.roll(lungs, len(lungs) // 2, axis=0)
    assert dice(other, lungs).mean() < 0.8
