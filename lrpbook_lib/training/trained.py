"""Trained networks, read from a file or by name, with all that it takes to use them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrpbook_lib.files import file_digest
from lrpbook_lib.models import ModelSpec, build
from lrpbook_lib.results import read_arrays, read_result, read_stamp

from .checkpoint import CheckpointError, read_tensors, weights_of
from .plain import from_dict, to_dict

#: File names that a trainer writes into its folder, the better one first.
_CHECKPOINTS = ("average.safetensors", "best.safetensors", "checkpoint.safetensors")


@dataclass(frozen=True)
class TrainedModel:
    """A network in evaluation form, and what it wants to see.

    Attributes
    ----------
    name
        As it was asked for; of a file, its name alone.
    network
    spec
        What it is, and what its channels and classes are.
    digest
        Hexadecimal digits that name the file of the weights.
    composite, start
        The LRP rules and the start of relevance that it was judged by.
    """

    name: str
    network: nn.Module
    spec: ModelSpec
    digest: str
    composite: str
    start: str

    def facts(self) -> dict[str, Any]:
        """All but the weights, as JSON can say it."""
        rules = {"composite": self.composite, "start": self.start}
        return {
            "name": self.name,
            "weights": self.digest,
            **to_dict(self.spec),
            **rules,
        }


def read_model(model: str | Path, **told: Any) -> TrainedModel:
    """Read a model from a checkpoint, or take one of the book's by its name.

    The book's were trained on synthetic patients of cohort seed 1, on the same slices
    and from the same first weights: ``"plain"`` on cross entropy alone, ``"guided"``
    with :class:`~lrpbook_lib.guidance.LRPLoss` of power 1. The patients of seed 0, whom
    the chapters show, are new to them, and so are their scanners.

    Parameters
    ----------
    model
        A ``.safetensors`` file that a :class:`~lrpbook_lib.training.Trainer` wrote, the
        folder of a run, or a name.
    **told
        Fields of a :class:`~lrpbook_lib.models.ModelSpec` that the checkpoint does not
        tell, or tells otherwise, such as ``channels=("t1", "flair")``.
    """
    path = _checkpoint(model)
    if path is None:
        name, (weights, about, digest) = str(model), _stamped(str(model))
    else:
        name, (tensors, about) = path.name, read_tensors(path)
        weights, digest = weights_of(tensors), file_digest(path)
    known = {**about.get("spec", {}), **told}
    if "network" not in known:
        raise CheckpointError(
            f"{name} does not tell which network it holds: it is of an older version. "
            "Train again, or tell of the network what a ModelSpec does: "
            "network='GliomaCNN', arguments={'size': 64}, channels=('t1', 't2', "
            "'flair'), classes=('LGG', 'HGG'), shape=(64, 64), "
            "normalization='percentile'."
        )
    spec = from_dict(ModelSpec, known)
    network = build(spec).eval()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"The weights of {name} do not fit {spec.network} with the arguments "
            f"{dict(spec.arguments)}: {error}"
        ) from error
    identity = about.get("identity", {})
    settings = identity.get("settings", identity)  # one level in older versions
    return TrainedModel(
        name,
        network,
        spec,
        digest,
        settings.get("judge") or settings.get("composite", "epsilon-plus"),
        settings.get("start", "logit"),
    )


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


def _stamped(name: str) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Weights of a model that comes with the book, what they are, and their digest."""
    about, arrays = read_result("models"), read_arrays("models")
    if name not in about:
        raise KeyError(
            f"model: {name!r} is no file, and none of the models that come with the "
            f"book, which are {', '.join(about)}"
        )
    weights = {
        key.removeprefix(f"{name}/"): torch.from_numpy(array).float()
        for key, array in arrays.items()
        if key.startswith(f"{name}/")
    }
    return weights, about[name], read_stamp("models")["arrays"]
