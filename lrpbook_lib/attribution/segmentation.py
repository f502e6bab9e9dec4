"""From a heatmap to a segmentation: a level to cut at, and the largest parts.

A rule says at which level one map is cut. Whatever is chosen about it, by hand or by
:func:`learn_segmenter`, is to be chosen on other patients than those it is tested on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .overlap import dice


@dataclass(frozen=True)
class MultiOtsu:
    r"""Otsu's upper threshold for several classes, lowered by an offset.

    .. math:: t = \max(0,\; t_{\text{last}} - o)

    with :math:`t_{\text{last}}` the last of the thresholds between which the variance
    between ``classes`` classes is greatest (Otsu 1979, ``otsu1979``). Chatterjee et al.
    2026 (``chatterjee2026``) take three classes and offsets from 0.4 to 1.0, in units
    of the network's own map, and choose the offset on the maps that they evaluate.

    Attributes
    ----------
    offset
        In units of the map.
    classes
    """

    offset: float = 0.0
    classes: int = 3

    def __call__(self, values: np.ndarray) -> float:
        """The level at which positive values ``(P,)`` are cut."""
        import SimpleITK  # takes a moment, and few need it

        otsu = SimpleITK.OtsuMultipleThresholdsImageFilter()
        otsu.SetNumberOfThresholds(self.classes - 1)
        otsu.SetNumberOfHistogramBins(256)
        otsu.Execute(SimpleITK.GetImageFromArray(values[None].astype(np.float32)))
        return max(0.0, otsu.GetThresholds()[-1] - self.offset)


@dataclass(frozen=True)
class Quantile:
    """Cut so that the same share of every image lies below.

    Attributes
    ----------
    share
        From 0 to 1: at 0.9, the upper tenth is found, tumor or not.
    """

    share: float = 0.9

    def __call__(self, values: np.ndarray) -> float:
        """The level at which positive values ``(P,)`` are cut."""
        return float(np.quantile(values, self.share))


@dataclass(frozen=True)
class OfPeak:
    """Cut at a share of each map's maximum.

    Attributes
    ----------
    share
        From 0 to 1.
    """

    share: float = 0.5

    def __call__(self, values: np.ndarray) -> float:
        """The level at which positive values ``(P,)`` are cut."""
        return self.share * float(values.max())


@dataclass(frozen=True)
class Level:
    """Cut all maps at one level: for maps with a unit, such as a network's own.

    The only rule here that can find nothing.

    Attributes
    ----------
    value
        In units of the map.
    """

    value: float = 0.0

    def __call__(self, values: np.ndarray) -> float:
        """The level at which positive values ``(P,)`` are cut."""
        return self.value


@dataclass(frozen=True)
class Segmenter:
    """What makes regions of maps.

    Attributes
    ----------
    rule
        From the values of one map, not negative, ``(P,)``, to the level above which a
        pixel is found.
    smooth
        Width of the Gaussian that maps are smoothed with first, in pixels: relevance
        is grainy, and regions are not.
    parts
        How many of the largest connected parts are kept; 0 for all.

    Examples
    --------
    >>> found = Segmenter(MultiOtsu(), smooth=1)(heat, brain)
    """

    rule: Callable[[np.ndarray], float]
    smooth: float = 0.0
    parts: int = 1

    def __call__(self, heat: np.ndarray, brain: np.ndarray | None = None) -> np.ndarray:
        """Regions ``(N, *space)``, bool, empty where no map value is positive.

        Parameters
        ----------
        heat : ndarray of shape ``(N, *space)``
            Channels summed. What is negative counts as zero, as published.
        brain : ndarray of shape ``(N, *space)``, optional
            Where a tumor may be found at all; the rule sees these pixels alone.
        """
        heat = np.asarray(heat, float)
        where = np.ones(heat.shape, bool) if brain is None else np.asarray(brain) > 0
        pairs = zip(heat, where, strict=True)
        return np.stack([self._one(*pair) for pair in pairs]) if len(heat) else where

    def _one(self, heat: np.ndarray, where: np.ndarray) -> np.ndarray:
        heat = heat.clip(min=0)
        if self.smooth:
            heat = ndimage.gaussian_filter(heat, self.smooth)
        values = heat[where]
        if not (values > 0).any():
            return np.zeros(heat.shape, bool)
        found = (heat > self.rule(values)) & where
        return largest_parts(found, self.parts) if self.parts else found


def largest_parts(region: np.ndarray, parts: int = 1) -> np.ndarray:
    """The largest connected parts of a region ``(*space)``, neighbors by edges."""
    label, count = ndimage.label(region)
    if count <= parts:
        return region
    size = np.bincount(label.ravel())[1:]
    kept = np.argsort(-size, kind="stable")[:parts] + 1
    return np.isin(label, kept)


def learn_segmenter(
    candidates: Iterable[Segmenter],
    heat: np.ndarray,
    truth: np.ndarray,
    patient: Sequence[str] | np.ndarray,
    brain: np.ndarray | None = None,
) -> tuple[Segmenter, float]:
    """The candidate with the greatest Dice, mean over patients, and that Dice.

    Parameters
    ----------
    candidates : iterable of Segmenter
    heat, truth : ndarray of shape ``(N, *space)``
        Of validation patients. Slices without tumor say nothing about Dice, and are
        left out.
    patient : sequence of str
        Whose each slice is: all patients count alike.
    brain : ndarray of shape ``(N, *space)``, optional

    Returns
    -------
    segmenter : Segmenter
        The first among equals.
    dice : float
        What it came to here; optimistic, for it was chosen so.
    """
    inside = np.asarray(truth) > 0
    ill = inside.reshape(len(inside), -1).any(1)
    if not ill.any():
        raise ValueError("There is no slice with a tumor to learn from.")
    heat, inside = np.asarray(heat)[ill], inside[ill]
    within = None if brain is None else np.asarray(brain)[ill]
    _, who = np.unique(np.asarray(patient)[ill], return_inverse=True)

    def mean(segmenter: Segmenter) -> float:
        each = dice(segmenter(heat, within), inside)
        return float((np.bincount(who, each) / np.bincount(who)).mean())

    tried = [(each, mean(each)) for each in candidates]
    if not tried:
        raise ValueError("There are no candidates.")
    return max(tried, key=lambda pair: pair[1])


def ellipse_map(brain: np.ndarray) -> np.ndarray:
    r"""A map that has seen nothing but the brain's outline: a control.

    .. math:: 1 - \sqrt{\sum_i \left( \frac{x_i - m_i}{h_i} \right)^2}

    with the middle and the half edges of the brain's bounding box, one in the middle
    and zero where the ellipse meets the box. Any level cuts out a smaller ellipse.

    Parameters
    ----------
    brain : ndarray of shape ``(N, *space)``
    """
    maps = np.zeros(np.shape(brain))
    for one, made in zip(np.asarray(brain) > 0, maps, strict=True):
        if not one.any():
            continue
        far = np.zeros(one.shape)
        for axis, places in enumerate(np.nonzero(one)):
            low, high = places.min(), places.max()
            half = (high - low + 1) / 2
            along = (np.arange(one.shape[axis]) - (low + high) / 2) / half
            far += np.square(
                np.expand_dims(along, [*range(axis), *range(axis + 1, one.ndim)])
            )
        made[...] = 1 - np.sqrt(far)
    return maps
