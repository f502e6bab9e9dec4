"""How well a region that was found covers the one that was drawn.

Regions are ``(N, *space)``, of any number of axes; everything above zero is inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import ndimage


def dice(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Dice's coefficient ``(N,)``, :math:`2 |A \cap B| / (|A| + |B|)`.

    Dice 1945 (``dice1945``). One where both are empty, zero where one is.
    """
    both, sizes = _sizes(found, truth)
    return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)


def iou(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    r"""Intersection over union ``(N,)``, :math:`|A \cap B| / |A \cup B|`.

    One where both are empty, zero where one is.
    """
    both, sizes = _sizes(found, truth)
    return np.where(sizes > 0, both / np.maximum(sizes - both, 1), 1.0)


def hausdorff95(
    found: np.ndarray, truth: np.ndarray, spacing: float | Sequence[float] = 1.0
) -> np.ndarray:
    r"""How far the borders lie apart ``(N,)``, but for the farthest twentieth.

    .. math:: \max \Big( P_{95} \{ d(a, \partial B) : a \in \partial A \},\;
        P_{95} \{ d(b, \partial A) : b \in \partial B \} \Big)

    The form of the BraTS challenge (Menze et al. 2015, ``menze2015``), with the pixels
    of a region that have a neighbor outside, or beyond the image, for its border.
    Zero where both are empty; where one is, the diagonal of the image: the worst there
    can be, and finite, so that means exist.

    Parameters
    ----------
    found, truth : ndarray of shape ``(N, *space)``
    spacing : float or one for each axis in space
        Edges of a pixel, in the unit that the answer has.
    """
    found, truth = _inside(found, truth)
    edges = np.broadcast_to(np.asarray(spacing, float), found.ndim - 1)
    worst = float(np.linalg.norm(edges * found.shape[1:]))
    return np.array(
        [_apart(*pair, edges, worst) for pair in zip(found, truth, strict=True)]
    )


def _apart(a: np.ndarray, b: np.ndarray, edges: np.ndarray, worst: float) -> float:
    if not (a.any() and b.any()):
        return 0.0 if a.any() == b.any() else worst
    rims = [each & ~ndimage.binary_erosion(each) for each in (a, b)]
    far = [ndimage.distance_transform_edt(~rim, sampling=edges) for rim in rims]
    return float(max(np.percentile(far[1 - i][rims[i]], 95) for i in (0, 1)))


def best_dice(heat: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Dice ``(N,)`` of each map cut at the level that suits it best: an oracle.

    Nobody who has no mask can reach it. Beside the Dice of a rule it tells how much the
    rule loses, and how much the map never had. Zero where there is no truth.

    Parameters
    ----------
    heat : ndarray of shape ``(N, *space)``
    truth : ndarray of shape ``(N, *space)``
    """
    inside = (np.asarray(truth) > 0).reshape(len(truth), -1)
    flat = np.asarray(heat, float).reshape(len(inside), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    flat, inside = (np.take_along_axis(a, order, 1) for a in (flat, inside))
    taken = np.arange(1, flat.shape[1] + 1)
    found = 2 * np.cumsum(inside, 1) / (taken + inside.sum(1, keepdims=True))
    # A level takes all pixels that tie, or none of them.
    last = np.diff(flat, axis=1, append=-np.inf) < 0
    return np.where(last, found, 0.0).max(1)


def segmentation_table(
    found: np.ndarray,
    truth: np.ndarray,
    patient: Sequence[str] | np.ndarray,
    spacing: float | Sequence[float] = 1.0,
) -> pd.DataFrame:
    """A row a slice: how well its tumor was found, or whether one was where none is.

    Parameters
    ----------
    found, truth : ndarray of shape ``(N, *space)``
    patient : sequence of str
    spacing
        See :func:`hausdorff95`.

    Returns
    -------
    DataFrame
        ``patient``; ``dice``, ``iou`` and ``hausdorff95`` of slices with tumor,
        whatever was found there; ``false_alarm``, 1 where anything was found in a slice
        without; NaN where a column does not apply. Means of its columns by patient, and
        then over patients, are what is to be reported.
    """
    found, truth = _inside(found, truth)
    ill = truth.reshape(len(truth), -1).any(1)
    any_found = found.reshape(len(found), -1).any(1)
    columns = {"dice": dice(found, truth), "iou": iou(found, truth)}
    columns["hausdorff95"] = hausdorff95(found, truth, spacing)
    table = pd.DataFrame(
        {name: np.where(ill, v, np.nan) for name, v in columns.items()}
    )
    table["false_alarm"] = np.where(ill, np.nan, any_found)
    table.insert(0, "patient", np.asarray(patient))
    return table


def _inside(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found, truth = np.asarray(found) > 0, np.asarray(truth) > 0
    if found.shape != truth.shape:
        raise ValueError(
            f"Regions found, {found.shape}, and drawn, {truth.shape}, differ in shape."
        )
    return found, truth


def _sizes(found: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels in both ``(N,)``, and pixels of one plus those of the other."""
    a, b = (each.reshape(len(each), -1) for each in _inside(found, truth))
    return (a & b).sum(1), a.sum(1) + b.sum(1)
