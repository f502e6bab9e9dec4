"""What a network is, in words that a file can keep, and the way back from them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import nn

#: The networks that a specification can name.
NETWORKS: dict[str, type[nn.Module]] = {}

N = TypeVar("N", bound=type[nn.Module])


class UnknownNetworkError(ValueError):
    """A network that cannot be built from what is told of it."""


def register_network(network: N) -> N:
    """Make a class of networks known by its name; its instances remember how.

    A class decorator. Their arguments, defaults too, must be such as JSON can say.

    Examples
    --------
    >>> @register_network
    ... class Mine(nn.Module):
    ...     def __init__(self, channels=3, classes=2, size=64, width=8): ...
    """
    init = network.__init__

    @functools.wraps(init)
    def remembering(self: Any, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(init).bind(self, *args, **kwargs)
        given.apply_defaults()
        init(self, *args, **kwargs)
        _, *rest = given.arguments.items()
        self._arguments = dict(rest)

    network.__init__ = remembering  # type: ignore[method-assign,misc]
    NETWORKS[network.__name__] = network
    return network


@dataclass(frozen=True)
class ModelSpec:
    """All that it takes to build a network again, and to feed it.

    Attributes
    ----------
    network
        Its class, by the name that it is registered with.
    arguments
        Of the class.
    channels
        What the channels of its input are, in order, e.g. MRI sequences.
    classes
        Names of its outputs, in order.
    shape
        Of its input, without channels: height and width, or three edges.
    normalization
        How intensities were scaled, as for :func:`~lrpbook_lib.data.extract_slices`;
        None where that is not known.
    spacing, space
        Of volumes: edge of the voxels in mm, and the space that they lie in, as for
        :func:`~lrpbook_lib.data.head_volumes`.
    """

    network: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    normalization: str | None = None
    spacing: float | None = None
    space: str | None = None

    @classmethod
    def of(cls, network: nn.Module, data: Any) -> ModelSpec:
        """What a network is, and what data says of itself that it is trained on.

        Parameters
        ----------
        network
            Where its class is not registered, its arguments are not known.
        data
            Dataset of dictionaries with an ``image`` ``(C, *shape)``. What it does not
            tell (a :class:`~lrpbook_lib.data.SliceSet` does) is left open.
        """
        channels, *shape = data[0]["image"].shape
        named = getattr(data, "sequences", ())
        settings = getattr(data, "settings", {})
        volume = settings if len(shape) == 3 else {}
        return cls(
            type(network).__name__,
            dict(getattr(network, "_arguments", {})),
            tuple(named) if len(named) == channels else (),
            tuple(getattr(data, "classes", ())),
            tuple(shape),
            settings.get("normalization"),
            volume.get("spacing"),
            volume.get("space"),
        )


def build(spec: ModelSpec) -> nn.Module:
    """The network, with new weights."""
    if spec.network not in NETWORKS:
        raise UnknownNetworkError(
            f"there is no network {spec.network!r}; there are {', '.join(NETWORKS)}. "
            "Decorate its class with lrpbook_lib.models.register_network, and import "
            "the module that does before the model is read"
        )
    try:
        return NETWORKS[spec.network](**spec.arguments)
    except TypeError as error:
        raise UnknownNetworkError(
            f"{spec.network} cannot be made with {dict(spec.arguments)}: {error}"
        ) from error
