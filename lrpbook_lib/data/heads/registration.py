"""Known transforms: a synthetic head is registered by undoing how it was made.

What real programs get wrong is a knob here (:class:`HeadSettings`), so that its effect
can be told from everything else.
"""

from __future__ import annotations

import numpy as np

from lrpbook_lib.data.heads.knobs import HeadSettings
from lrpbook_lib.data.phantom import anatomy


def native_points(
    rng: np.random.Generator,
    pose: anatomy.Pose,
    points: np.ndarray,
    bent: np.ndarray,
    settings: HeadSettings,
) -> np.ndarray:
    r"""Where in the scanner the points of MNI space lie, ``(3, X, Y, Z)`` mm.

    A head was made by :math:`a(p) = A p + d(p)`, from scanner to atlas, with an affine
    :math:`A` and a smooth :math:`d`. The way back solves :math:`p = A^{-1} (a - s\,
    d(p))` by fixed-point iteration, with the share :math:`s` that is undone.

    Parameters
    ----------
    rng
        Of the errors.
    points
        ``(3, X, Y, Z)``: the grid, in both frames.
    bent
        :math:`d` on the grid of the scanner; zero for a linear registration.
    """
    error = settings.registration_error
    wanted = (
        points
        + (0.7 * error * rng.standard_normal(3)).astype("f4")[:, None, None, None]
    )
    if not bent.any():
        return pose.from_atlas(wanted)
    import torch

    step = settings.spacing
    for axis in range(3):
        noise = anatomy.smooth_field(rng, points.shape[1:], step, 40.0)
        wanted[axis] += 0.7 * error * noise
    start = points[:, 0, 0, 0][:, None, None, None]
    field = torch.from_numpy(np.ascontiguousarray(settings.alignment * bent, "f4"))
    where = pose.from_atlas(wanted)
    for _ in range(4):
        there = anatomy.sample(field, (where - start) / step, "border")
        where = pose.from_atlas(wanted - there)
    return where
