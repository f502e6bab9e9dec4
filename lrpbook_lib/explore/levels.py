"""Images and relevance in levels: on what scale pictures and widgets show them."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Levels of relevance on either side of zero.
STEPS = 15
#: One bright vessel must not darken a brain, nor one pixel blacken all others.
TOP = 0.998


def plain(value: Any) -> np.ndarray:
    """An array or a tensor as an array."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def gray_levels(
    images: np.ndarray, span: tuple[float, float] | None = None
) -> np.ndarray:
    """Each picture ``(..., H, W)`` in 256 gray levels.

    Parameters
    ----------
    images
        ``(..., H, W)``.
    span
        What is black and what is white; by default from each picture's own least value
        to its 99.8th percentile.
    """
    least = images.min((-2, -1), keepdims=True)
    low, high = span or (least, _or_largest(images, least))
    width = np.where(high > low, np.subtract(high, low), 1)
    return np.rint(255 * np.clip((images - low) / width, 0, 1)).astype(np.uint8)


def limit(relevance: np.ndarray) -> np.ndarray:
    """The magnitude that counts as strongest, ``(..., 1, 1)``: the 99.8th percentile.

    Where that is zero it is the largest magnitude; of an empty map it is one.
    """
    top = _or_largest(np.abs(relevance), 0)
    return np.where(top > 0, top, 1)


def strengths(relevance: np.ndarray, top: float | None = None) -> np.ndarray:
    """Relevance ``(..., H, W)`` from -1 to 1, each map by its own :func:`limit`."""
    return np.clip(relevance / (limit(relevance) if top is None else top), -1, 1)


def levels(relevance: np.ndarray) -> np.ndarray:
    r"""Strengths in 31 levels, to be sent to a page.

    The level is :math:`15 + 15 \,\mathrm{sign}(s) \sqrt{|s|}`, rounded: the root keeps
    what is weak apart from nothing. :func:`of_levels` goes back.
    """
    s = strengths(relevance)
    root = np.sign(s) * np.sqrt(np.abs(s))
    return (STEPS + np.rint(STEPS * root)).astype(np.uint8)


def of_levels(level: np.ndarray) -> np.ndarray:
    """Strengths, from -1 to 1, of levels."""
    root = (level.astype(float) - STEPS) / STEPS
    return root * np.abs(root)


def quantized(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(N, C, H, W)`` as 256 levels that can be undone, with zero kept exactly.

    A network is to see on a page just what it sees in Python, and zero is background.

    Returns
    -------
    codes : ndarray of uint8
    tones : ndarray of shape (N, C, 2)
        ``low`` and ``step`` of each channel, which is ``low + step * codes``.
    """
    low = np.minimum(images.min((2, 3)), 0).astype(float)
    step = (np.maximum(images.max((2, 3)), 0) - low) / 255
    step = np.where(step > 0, step, 1)
    low = -np.rint(-low / step) * step
    codes = np.rint((images - low[..., None, None]) / step[..., None, None])
    return np.clip(codes, 0, 255).astype(np.uint8), np.stack([low, step], -1)


def _or_largest(values: np.ndarray, low: Any) -> np.ndarray:
    """The 99.8th percentile of each map; the largest value where that is ``low``."""
    top = np.quantile(values, TOP, axis=(-2, -1), keepdims=True)
    return np.where(top > low, top, values.max((-2, -1), keepdims=True))
