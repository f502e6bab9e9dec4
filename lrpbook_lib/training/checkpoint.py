"""Training state as one safetensors file: no pickle, whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lrpbook_lib.files import whole_or_absent
from lrpbook_lib.guidance import CrossEntropy
from lrpbook_lib.models import ModelSpec

from .plain import differences, to_dict
from .settings import TrainSettings


class CheckpointError(ValueError):
    """A checkpoint that cannot be used."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], **about: Any) -> None:
    """Write tensors and JSON-able facts beside, then rename to ``path``."""
    # Clones: tied weights are one tensor under two names, which the format refuses.
    plain = {k: t.detach().cpu().contiguous().clone() for k, t in tensors.items()}
    content = save(plain, {name: json.dumps(value) for name, value in about.items()})
    try:
        with whole_or_absent(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            f"The disk is full: {path} ({len(content) / 1e6:.1f} MB) was not written, "
            "and what lay there before is untouched. Free some space and run the same "
            "again: training goes on from the last checkpoint.",
        ) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file written by :func:`write_tensors`."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()  # the file is no mapping: it cannot be iterated
            tensors = {name: file.get_tensor(name) for name in names}
            about = file.metadata() or {}
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read as a safetensors file ({error}). Remove it to "
            "start from the beginning."
        ) from error
    return tensors, {name: json.loads(text) for name, text in about.items()}


@dataclass(frozen=True)
class Identity:
    """What a training is: it goes on from no checkpoint of another one.

    Attributes
    ----------
    loss
    settings
        Nothing depends on the number of epochs: a training may become longer.
    samples
        Size of the data.
    """

    loss: CrossEntropy
    settings: TrainSettings
    samples: int


@dataclass
class TrainState:
    """What a training needs to go on as if nothing had happened.

    There is no state of random number generators in it: every random number of an
    epoch follows from the seed and the number of the epoch.

    Attributes
    ----------
    identity
        To be compared before going on.
    spec
        What the network is, to whoever wants to use it.
    data
        Digest of what it is trained on.
    rows
        The history so far, a dictionary an epoch.
    """

    identity: Identity
    spec: ModelSpec
    data: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(
        cls, model: nn.Module, loss: CrossEntropy, settings: TrainSettings, data: Any
    ) -> TrainState:
        """Of a training before its first epoch."""
        with torch.random.fork_rng(devices=[]):  # an item may be drawn at random
            return cls(
                Identity(loss, settings, len(data)),
                ModelSpec.of(model, data),
                data_digest(data),
            )

    def about(self) -> dict[str, Any]:
        """What stands in every file with weights of this training."""
        return {
            "identity": to_dict(self.identity),
            "spec": to_dict(self.spec),
            "data": self.data,
        }

    def save(
        self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Write everything to one file."""
        tensors = {f"model.{k}": t for k, t in model.state_dict().items()}
        state = optimizer.state_dict()
        for number, values in state["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{name}"] = value
        groups = state["param_groups"]
        write_tensors(path, tensors, **self.about(), rows=self.rows, groups=groups)

    def load(
        self, path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        """Take everything back; settings that differ are an error that names them."""
        tensors, about = read_tensors(path)
        if "identity" not in about:
            raise CheckpointError(f"{path} holds tensors, but no training.")
        differ = differences(about["identity"], self.identity)
        if changed := [d for d in differ if not d.startswith("settings.epochs")]:
            raise CheckpointError(
                f"{path} was written with other settings ({'; '.join(changed)}). Go on "
                "with those, or name another folder."
            )
        kept = {"model": {}, "optimizer": {}}  # type: dict[str, dict[str, Tensor]]
        for name, tensor in tensors.items():
            part, _, rest = name.partition(".")
            kept[part][rest] = tensor
        model.load_state_dict(kept["model"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in kept["optimizer"].items():
            number, _, key = name.partition(".")
            state.setdefault(int(number), {})[key] = tensor
        optimizer.load_state_dict({"state": state, "param_groups": about["groups"]})
        self.rows = about["rows"]


def weights_of(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's part of a checkpoint, of either kind."""
    prefix = "model."
    return {
        k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)
    }


def data_digest(data: Any, samples: int = 16) -> str:
    """Sixteen hexadecimal digits that name a dataset: its size, and some of its items.

    Parameters
    ----------
    data : Dataset
        Of dictionaries of arrays or tensors.
    samples : int
        How many items are read, from all over it.
    """
    made = hashlib.blake2b(str(len(data)).encode(), digest_size=8)
    for i in np.linspace(0, len(data) - 1, min(len(data), samples)).round():
        item = data[int(i)]
        for name in ("image", "label", "tumor", "brain"):
            if name in item:
                made.update(torch.as_tensor(item[name]).double().cpu().numpy().data)
    return made.hexdigest()
