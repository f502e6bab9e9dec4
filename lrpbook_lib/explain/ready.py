"""A trained model with all that it takes to feed it: read from a file or by name."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrpbook_lib import models
from lrpbook_lib.data.cases.readers import CLASSES
from lrpbook_lib.training.checkpoint import read_tensors

#: What the book's models look at, where nothing else is told.
_SEQUENCES = ("t1", "t2", "flair")
#: File names that a trainer writes into its folder, the better one first.
_CHECKPOINTS = ("best.safetensors", "checkpoint.safetensors")


@dataclass(frozen=True)
class ReadyModel:
    """A network in evaluation form, and what it wants to see.

    Attributes
    ----------
    name
        As it was asked for; of a file, its name alone.
    network
    digest
        Sixteen hexadecimal digits that name the weights.
    sequences
        What the channels are, in order.
    size
        Height and width of its slices, pixels.
    classes
        Names of its outputs.
    composite, start
        The LRP rules and the start of relevance that it was trained with.
    """

    name: str
    network: nn.Module
    digest: str
    sequences: tuple[str, ...]
    size: tuple[int, int]
    classes: tuple[str, ...]
    composite: str = "epsilon-plus"
    start: str = "logit"

    def facts(self) -> dict[str, Any]:
        """All but the weights, as JSON can say it."""
        return {
            "name": self.name,
            "network": type(self.network).__name__,
            "weights": self.digest,
            "sequences": list(self.sequences),
            "size": list(self.size),
            "composite": self.composite,
            "start": self.start,
        }


def ready_model(
    model: str | Path,
    *,
    sequences: Sequence[str] | None = None,
    size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
) -> ReadyModel:
    """Read a model from a checkpoint, or take one of the book's by its name.

    Parameters
    ----------
    model
        A ``.safetensors`` file that a :class:`~lrpbook_lib.training.Trainer` wrote, the
        folder of a run, or a name that ``stamped_model``
        knows. The network is recognized by its weights.
    sequences, size, classes
        What the weights cannot tell. Default: what ``experiment.json`` beside the file
        says; else T1, T2 and FLAIR for three channels, the least size that fits the
        weights (for GliomaCNN a multiple of 16), and LGG and HGG for two outputs.
    """
    path = _checkpoint(model)
    ready = _named(str(model)) if path is None else _read(path)
    given: dict[str, Any] = {
        "sequences": tuple(sequences) if sequences else None,
        "size": (size, size) if isinstance(size, int) else size,
        "classes": tuple(classes) if classes else None,
    }
    ready = replace(ready, **{k: v for k, v in given.items() if v is not None})
    _check(ready)
    return ready


def _checkpoint(model: str | Path) -> Path | None:
    path = Path(model).expanduser()
    if path.is_dir():
        for name in _CHECKPOINTS:
            if (path / name).is_file():
                return path / name
        raise FileNotFoundError(
            f"model: {path} holds none of {', '.join(_CHECKPOINTS)}; name the folder "
            "of a finished training, or the file"
        )
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise FileNotFoundError(f"model: there is no file {path}")
    return None


def _named(name: str) -> ReadyModel:
    """One of the models that come with the book."""
    try:
        from lrpbook_lib.training import stamped_model
    except ImportError:
        raise ValueError(
            f"model: {name!r} is no file, and no models come with this version; train "
            "one with lrpbook_lib.training.Trainer and name its checkpoint"
        ) from None
    return _ready(name, stamped_model(name))


def _read(path: Path) -> ReadyModel:
    tensors, about = read_tensors(path)
    prefix = "model."
    weights = {
        k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)
    }
    told = _told_beside(path)
    data = told.get("data")
    data = data if isinstance(data, Mapping) else {}
    kind, shape = _shape(weights, path.name)
    size = data.get("size", shape["size"])
    network = getattr(models, kind)(**{**shape, "size": size})
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"model: the weights in {path} fit no {kind} of square slices; explain "
            "such a network with lrpbook_lib.lrp.Explainer"
        ) from error
    settings = told.get("settings") or about.get("identity") or {}
    ready = replace(_ready(path.name, network), size=(size, size))
    return replace(
        ready,
        sequences=tuple(data.get("sequences", ready.sequences)),
        composite=settings.get("judge") or settings.get("composite", ready.composite),
        start=settings.get("start", ready.start),
    )


def _told_beside(path: Path) -> dict[str, Any]:
    """The experiment that a run's folder belongs to, if it says so."""
    try:
        return json.loads((path.parent / "experiment.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}


def _shape(state: Mapping[str, Tensor], name: str) -> tuple[str, dict[str, int]]:
    """Which network has parameters of these names and shapes, and how it is made.

    Pooling loses what is left over: of the sizes that fit, the least is told.
    """
    # Only GliomaCNN has dropout behind its first pooling.
    kind, least = (
        ("GliomaCNN", 16) if "features.4.weight" in state else ("SliceNet", 54)
    )
    try:
        pixels = state["classifier.1.weight"].shape[1] / 128
        return kind, {
            "channels": state["features.0.weight"].shape[1],
            "classes": state["classifier.3.weight"].shape[0],
            "size": least * round(math.sqrt(pixels)),
        }
    except KeyError as error:
        raise ValueError(
            f"model: {name} holds no weights of GliomaCNN or SliceNet ({error} is "
            "missing); explain other networks with lrpbook_lib.lrp.Explainer"
        ) from None


def _ready(name: str, network: nn.Module) -> ReadyModel:
    """A network with what its own shape tells, and the usual for the rest."""
    state = network.state_dict()
    _, shape = _shape(state, name)
    content = hashlib.blake2b(digest_size=8)
    for key in sorted(state):
        content.update(key.encode())
        content.update(state[key].detach().cpu().contiguous().numpy().tobytes())
    return ReadyModel(
        name,
        network.eval(),
        content.hexdigest(),
        _SEQUENCES if shape["channels"] == len(_SEQUENCES) else (),
        (shape["size"], shape["size"]),
        CLASSES if shape["classes"] == len(CLASSES) else (),
    )


def _check(ready: ReadyModel) -> None:
    """Raise where what is told of a model cannot be."""
    _, shape = _shape(ready.network.state_dict(), ready.name)
    for field, told in (("channels", ready.sequences), ("classes", ready.classes)):
        option = "sequences" if field == "channels" else field
        if len(told) != shape[field]:
            raise ValueError(
                f"{option}: the model {ready.name} has {shape[field]} {field}, and "
                f"{len(told)} names are told ({', '.join(told) or 'none'}); name each, "
                "in the order of its training"
            )
    try:
        with torch.no_grad():
            ready.network(torch.zeros(1, shape["channels"], *ready.size))
    except RuntimeError:
        raise ValueError(
            f"size: slices of {ready.size[0]} x {ready.size[1]} do not fit the weights "
            f"of {ready.name}; name the size of the slices that it was trained on"
        ) from None
