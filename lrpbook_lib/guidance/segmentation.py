"""How far a segmentation is from a mask."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .penalties import mean_within


def segmentation_loss(logits: Tensor, mask: Tensor, within: Tensor) -> Tensor:
    r"""Cross entropy by pixel plus one minus the soft Dice coefficient, ``(B,)``.

    .. math:: S(u, M) = \frac{1}{|B|} \sum_{i \in B} BCE(\sigma(u_i), M_i) + 1 -
        \frac{1 + 2 \sum_{i \in B} \sigma(u_i) M_i}
        {1 + \sum_{i \in B} (\sigma(u_i) + M_i)}

    with logits u and brain B; the second part is that of Milletari et al. 2016
    (``milletari2016``).

    Parameters
    ----------
    logits, mask, within : Tensor of shape ``(B, *space)``
        Masks are 0 and 1.
    """
    bce = F.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    said = logits.sigmoid()
    both = (said * mask * within).flatten(1).sum(1)
    each = ((said + mask) * within).flatten(1).sum(1)
    return mean_within(bce, within) + 1 - (1 + 2 * both) / (1 + each)
