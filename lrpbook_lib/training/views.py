"""What a network gets to see of each slice, in training and at every test.

Networks that are guided see whole slices. The others are yardsticks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from lrpbook_lib.data import SliceSet

View = Literal["whole", "tumor"]
VIEWS: tuple[str, ...] = get_args(View)

Look = Callable[[SliceSet], SliceSet]


def whole(slices: SliceSet) -> SliceSet:
    """The slices as they are."""
    return slices


def tumor_alone(slices: SliceSet) -> SliceSet:
    """The oracle: images times their true tumor masks, :math:`x_c M`.

    What nobody has at a test. It says how well a network does that cannot look
    elsewhere. A slice without a tumor is black.
    """
    return only(slices, slices.tumor > 0)


def only(slices: SliceSet, region: np.ndarray) -> SliceSet:
    """Slices whose images are zero outside of a region ``(N, *space)``.

    Masks stay what they are: scores know the whole brain and the true tumor.
    """
    return slices.with_arrays(images=np.where(region[:, None], slices.images, 0))


def fit_view(view: View, train: SliceSet) -> Look:
    """A view of slices, fitted on those of the training alone.

    Parameters
    ----------
    view : {"whole", "tumor"}
    train : SliceSet
        With the masks that training sees.

    Returns
    -------
    callable
        From slices to slices as the network sees them.
    """
    return {"whole": whole, "tumor": tumor_alone}[view]
