"""Masks as an annotator on a budget would draw them: fewer, wider, boxed or wrong."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy import ndimage

Kind = Literal["exact", "dilated", "boxed", "shifted", "random"]


def coarsen(
    mask: np.ndarray, brain: np.ndarray, kind: Kind, amount: int = 5, seed: int = 0
) -> np.ndarray:
    """Masks of lesser quality.

    Parameters
    ----------
    mask, brain : ndarray of shape ``(N, *space)``
        Above zero is inside.
    kind : {"exact", "dilated", "boxed", "shifted", "random"}
        ``"dilated"`` grows each mask by ``amount`` pixels, ``"boxed"`` gives the
        bounding box with that margin, ``"shifted"`` moves the mask that far in a random
        direction, ``"random"`` puts it anywhere where its center is brain. The last is
        the control that ought not to help.
    amount : int
        Pixels.
    seed : int
        Every random choice follows from it.

    Returns
    -------
    ndarray of shape ``(N, *space)``, bool
        Empty where the mask is empty.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}; it takes one of {get_args(Kind)}.")
    if amount < 0:
        raise ValueError(f"amount={amount} must be 0 pixels or more.")
    rng = np.random.default_rng(seed)
    inside = np.asarray(mask) > 0
    made = [
        _coarse(one, where > 0, kind, amount, rng) if one.any() else one
        for one, where in zip(inside, np.asarray(brain), strict=True)
    ]
    return np.stack(made) if made else inside


def _coarse(
    mask: np.ndarray,
    brain: np.ndarray,
    kind: Kind,
    amount: int,
    rng: np.random.Generator,
) -> np.ndarray:
    if kind == "exact" or (amount == 0 and kind in ("dilated", "shifted")):
        return mask
    if kind == "dilated":
        return ndimage.binary_dilation(mask, iterations=amount)
    if kind == "boxed":
        box = np.zeros_like(mask)
        edges = [(int(i.min()), int(i.max())) for i in np.nonzero(mask)]
        box[tuple(slice(max(a - amount, 0), b + amount + 1) for a, b in edges)] = True
        return box
    if kind == "shifted":
        return _moved(mask, np.round(amount * _direction(mask.ndim, rng)).astype(int))
    places = np.argwhere(brain)
    if not len(places):
        return mask
    center = np.round(np.argwhere(mask).mean(0)).astype(int)
    return _moved(mask, places[rng.integers(len(places))] - center)


def _direction(axes: int, rng: np.random.Generator) -> np.ndarray:
    """A random vector of length one."""
    if axes == 2:
        angle = rng.uniform(0, 2 * np.pi)
        return np.array([np.sin(angle), np.cos(angle)])
    vector = rng.standard_normal(axes)
    return vector / np.linalg.norm(vector)


def _moved(mask: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The mask somewhere else; what leaves the image is lost."""
    return ndimage.shift(mask.astype(np.uint8), by, order=0, mode="constant") > 0


def annotated(patient: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Which slices have a mask, where only a share of the patients is annotated.

    Parameters
    ----------
    patient : ndarray of shape (N,)
        Names.
    share : float
        From 0 to 1; above zero, at least one patient is annotated. The annotated of a
        smaller share are among those of a larger one.
    seed : int

    Returns
    -------
    ndarray of shape (N,), bool
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share} lies outside 0 to 1.")
    names = np.unique(patient)
    order = np.random.default_rng(seed).permutation(names)
    count = max(round(share * len(names)), 1) if share > 0 else 0
    return np.isin(patient, order[:count])
