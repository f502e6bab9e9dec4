"""Where the lungs are on a slice of CT, from the density of air: nothing is learned."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: HU between air-filled lung (about -800) and soft tissue (about 0), as is usual.
AIR = -320.0


def lung_mask(
    images: np.ndarray,
    window: tuple[float, float] | None = None,
    *,
    closing: float = 0.03,
    smallest: float = 0.005,
) -> np.ndarray:
    """Air inside the body: the largest two parts of it, closed and filled.

    Bars around the image are cut off first. Vessels and small lesions come back with
    the closing; a dense lesion at the pleura stays outside. On a slice above or below
    the lungs, the trachea or gas in the bowel may pass for them.

    Parameters
    ----------
    images
        ``(H, W)`` or ``(N, H, W)``: HU, or gray values of a window.
    window
        HU of the gray values 0 and 255. By default values below zero are taken for HU,
        and for gray values the threshold is Otsu's, slice by slice (Otsu 1979,
        ``otsu1979``): it parts dark from bright with the least variance inside both.
    closing
        Radius as a share of the edge of the image.
    smallest
        Parts below this share of the image are not lungs, nor is a second part below a
        tenth of the first.

    Returns
    -------
    numpy.ndarray of bool, shaped like ``images``
        Empty where no lungs were found.
    """
    images = np.asarray(images)
    if images.ndim not in (2, 3):
        raise ValueError(
            f"images have shape {images.shape}: give slices of one channel, (H, W) or "
            "(N, H, W)"
        )
    if not np.isfinite(images).all():
        raise ValueError("images hold NaN or infinity")
    if images.ndim == 3:
        each = [
            lung_mask(i, window, closing=closing, smallest=smallest) for i in images
        ]
        return np.stack(each) if each else np.zeros(images.shape, bool)
    lungs = np.zeros(images.shape, bool)
    frame = _frame(images)
    image, inside = images[frame], lungs[frame]
    if not image.size:
        return lungs
    air = image < _threshold(image, window)
    radius = max(1, round(closing * max(image.shape)))
    for part in _parts_inside(air, smallest * image.size):
        inside |= ndimage.binary_fill_holes(_closed(part, radius))
    return lungs


def _frame(image: np.ndarray) -> tuple[slice, slice]:
    """The image without bars around it, and without the blurred edge of those."""
    flat = 0.05 * np.ptp(image)
    found = []
    for axis, size in enumerate(image.shape):
        place = np.flatnonzero(np.ptp(image, axis=1 - axis) > flat)
        first, last = (place[0], place[-1]) if len(place) else (0, -1)
        found.append(slice(first + (first > 0), last + (last == size - 1)))
    return found[0], found[1]


def _parts_inside(air: np.ndarray, smallest: float) -> list[np.ndarray]:
    """The two largest parts of the air within the reach of the body.

    A part that holds a corner is the air outside, one beyond the box around the body
    belongs to the couch. Parts open to the border count: many images are cut to the
    chest.
    """
    tissue, size = _labeled(~air)
    parts, area = _labeled(air)
    area[parts[[0, 0, -1, -1], [0, -1, 0, -1]]] = 0
    body = np.zeros_like(air)
    box = ndimage.find_objects((tissue == size.argmax()).astype(int))
    if box:
        body[box[0]] = True
    area[np.bincount(parts[body], minlength=len(area)) < 0.9 * area] = 0
    enough = max(smallest, area.max() / 10)
    return [parts == k for k in area.argsort()[::-1][:2] if area[k] >= enough]


def _labeled(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of connected parts, and how many pixels each has; background 0 has 0."""
    labels, _ = ndimage.label(mask)
    size = np.bincount(labels.ravel())
    size[0] = 0
    return labels, size


def _threshold(image: np.ndarray, window: tuple[float, float] | None) -> float:
    if window is not None:
        low, high = window
        if not low < AIR < high:
            raise ValueError(
                f"window={window}: air and tissue part at {AIR:g} HU, which it must "
                "hold"
            )
        return 255 * (AIR - low) / (high - low)
    return AIR if image.min() < 0 else otsu(image)


def otsu(image: np.ndarray, bins: int = 256) -> float:
    """The threshold that leaves the least variance on both sides of it.

    Parameters
    ----------
    image
    bins
        Of the histogram.
    """
    count, edges = np.histogram(image, bins)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(count)[:-1].astype(float)
    mass = np.cumsum(count * middle)
    above = count.sum() - below
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = mass[:-1] / below - (mass[-1] - mass[:-1]) / above
        between = np.nan_to_num(below * above * apart**2)
    return float(edges[1:-1][between.argmax()])


def _closed(mask: np.ndarray, radius: int) -> np.ndarray:
    """Closing with a disk, as if the image went on empty."""
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    wide = np.pad(mask, radius)
    disk = x**2 + y**2 <= radius**2
    return ndimage.binary_closing(wide, disk)[radius:-radius, radius:-radius]
