"""The head of the GP networks, for any trunk that keeps the resolution of the image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Pool = Literal["max", "mean", "lse"]
MapKind = Literal["pixel", "routed"]
#: How a trunk doubles edges.
Up = Literal["bilinear", "transposed"]


class GlobalPooling(nn.Module):
    r"""Logits of features at full resolution, and two maps of where they come from.

    With :math:`a_f(p)` the feature :math:`f` at pixel :math:`p` (of :math:`N`):

    .. math::

        z_c = \sum_f w_{cf} \, A_f + b_c, \qquad
        A_f = \max_p a_f(p)
        \;\text{ or }\; \tfrac{1}{N} \textstyle\sum_p a_f(p)
        \;\text{ or }\; \tfrac{1}{r} \log \tfrac{1}{N} \textstyle\sum_p e^{r a_f(p)}

    Max pooling is that of Dubost et al. 2017 (``dubost2017``) and Chatterjee et al.
    2026 (``chatterjee2026``); the log-sum-exp lies between it and the mean (Pinheiro
    and Collobert 2015, ``pinheiro2015``).

    The **pixel** map is the published one, every pixel through the layer:

    .. math:: M_c(p) = \sum_f w_{cf} \, a_f(p) + b_c

    It is not what the logit is made of: each feature has its maximum at a place of its
    own, so that neither the sum nor the maximum of the map is the logit. The **routed**
    map is; it gives every feature's pooled value back to where it came from,

    .. math:: R_c(p) = \sum_f w_{cf} \, A_f(p), \qquad \sum_p A_f(p) = A_f
        \;\Rightarrow\; \sum_p R_c(p) = z_c - b_c

    with the shares :math:`A_f(p)` of :meth:`shares`.

    Parameters
    ----------
    features : int
        Channels of the trunk's output.
    classes : int
    pool : {"max", "mean", "lse"}
    sharpness : float
        The :math:`r` of "lse": small is nearly the mean, large nearly the maximum.
    """

    def __init__(
        self, features: int, classes: int, pool: Pool = "max", sharpness: float = 5.0
    ) -> None:
        super().__init__()
        if pool not in ("max", "mean", "lse"):
            raise ValueError(f'pool is {pool!r}; it takes "max", "mean" or "lse".')
        if sharpness <= 0:
            raise ValueError(f"sharpness is {sharpness}; it must be positive.")
        self.pool, self.sharpness = pool, sharpness
        self.linear = nn.Linear(features, classes)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of features ``(B, F, *space)``."""
        return self.linear(self._pooled(features.flatten(2)))

    def _pooled(self, a: Tensor) -> Tensor:
        if self.pool == "max":
            return a.max(2).values  # the first among equals
        if self.pool == "mean":
            return a.mean(2)
        pixels = torch.logsumexp(torch.zeros_like(a), 2)  # log N, traceable
        return (torch.logsumexp(self.sharpness * a, 2) - pixels) / self.sharpness

    def shares(self, features: Tensor) -> Tensor:
        r"""What each pixel adds to each pooled feature: ``(B, F, N)``.

        .. math::

            \text{max:}\quad & A_f(p) = a_f(p) \, [p = \arg\max_q a_f(q)]
            \quad\text{(the first among equals)} \\
            \text{mean:}\quad & A_f(p) = a_f(p) / N \\
            \text{lse:}\quad & A_f(p) = s_f(p) \Big(A_f + a_f(p)
            - \sum_q s_f(q) \, a_f(q)\Big), \quad
            s_f = \mathrm{softmax}_p (r \, a_f)

        Each sums to the pooled feature exactly, whatever the signs. That of "lse" is
        the gradient times the feature, :math:`s_f a_f`, which alone would sum to
        :math:`A_f + \mathrm{KL}(s_f \,\|\, 1/N) / r`; the surplus is taken back by the
        same weights. It goes over into the other two as :math:`r` goes to infinity or
        to zero.
        """
        a = features.flatten(2)
        if self.pool == "max":
            value, where = a.max(2, keepdim=True)
            return torch.zeros_like(a).scatter(2, where, value)
        if self.pool == "mean":
            return a / a.shape[2]
        weight = (self.sharpness * a).softmax(2)
        surplus = (weight * a).sum(2) - self._pooled(a)
        return weight * (a - surplus.unsqueeze(2))

    def maps(self, features: Tensor, kind: MapKind = "pixel") -> Tensor:
        """A map a class: ``(B, classes, *space)``."""
        if kind == "pixel":
            return self.linear(features.movedim(1, -1)).movedim(-1, 1)
        if kind == "routed":
            routed = self.linear.weight @ self.shares(features)
            return routed.unflatten(2, features.shape[2:])
        raise ValueError(f'kind is {kind!r}; it takes "pixel" or "routed".')


class GPNet(nn.Module):
    """Any trunk at full resolution under a :class:`GlobalPooling` head.

    Called, it answers logits only, so that it trains and is explained like any
    classifier; :meth:`own_map` and :meth:`maps` answer the map as well.

    Parameters
    ----------
    trunk : nn.Module
        From ``(B, C, *space)`` to ``(B, features, *space)``, in one to three
        dimensions: one of this package, a UNet of one's own, or MONAI's.
    features : int
        Channels of its output.
    classes : int
    pool, sharpness
        Of the head.

    Examples
    --------
    >>> trunk = monai.networks.nets.UNet(2, 4, 32, (16, 32, 64), (2, 2))
    >>> logits, heatmap = GPNet(trunk, features=32, classes=3).own_map(x)
    """

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        classes: int,
        pool: Pool = "max",
        sharpness: float = 5.0,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = GlobalPooling(features, classes, pool, sharpness)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)`` of images ``(B, C, *space)``."""
        return self.head(self.trunk(x))

    def maps(self, x: Tensor, kind: MapKind = "pixel") -> tuple[Tensor, Tensor]:
        """Logits ``(B, classes)``, and a map a class ``(B, classes, *space)``."""
        features = self.trunk(x)
        if features.shape[2:] != x.shape[2:]:
            raise ValueError(
                f"The trunk answers {tuple(features.shape[2:])} for an input of "
                f"{tuple(x.shape[2:])}; a map needs a trunk at full resolution."
            )
        return self.head(features), self.head.maps(features, kind)

    def own_map(
        self, x: Tensor, target: Tensor | int | None = None, kind: MapKind = "pixel"
    ) -> tuple[Tensor, Tensor]:
        """Logits, and the map of the target.

        Parameters
        ----------
        x : Tensor of shape ``(B, C, *space)``
        target : Tensor, int or None
            Class indices ``(B,)``, one for all, a weight for every class ``(B,
            classes)`` (of two, -1 and 1: what speaks for the second rather than the
            first), or None for the predicted class.
        kind : {"pixel", "routed"}
            See :class:`GlobalPooling`.

        Returns
        -------
        logits : Tensor of shape (B, classes)
        map : Tensor of shape ``(B, 1, *space)``
            With a graph: a loss on it trains the trunk.
        """
        logits, maps = self.maps(x, kind)
        if isinstance(target, Tensor) and target.is_floating_point():
            return logits, torch.einsum("bc,bc...->b...", target, maps).unsqueeze(1)
        target = logits.argmax(1) if target is None else target
        index = torch.as_tensor(target, device=x.device).expand(len(x))
        return logits, maps[torch.arange(len(x), device=x.device), index].unsqueeze(1)


class Trunk(nn.Module, ABC):
    """Features at the resolution of the image, of any size.

    Inside, edges are halved some times. What does not divide is filled up with zeros
    on the right and below, and cut off again from the features.
    """

    #: What the edges must divide by.
    factor: int

    @abstractmethod
    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, F, H, W)`` of images ``(B, C, H, W)`` whose edges divide."""

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, F, H, W)`` of images ``(B, C, H, W)``."""
        height, width = x.shape[2], x.shape[3]
        x = F.pad(x, (0, -width % self.factor, 0, -height % self.factor))
        return self.features(x)[:, :, :height, :width]
