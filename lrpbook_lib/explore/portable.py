"""LRP programs without weights, small enough that a page can hold several of them.

The weights are inputs of the program, not part of it. One program then serves all
models of an architecture, and a model's weights travel once for all its programs.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrpbook_lib.explore.widgets.page import pack
from lrpbook_lib.files import digest, whole_or_absent
from lrpbook_lib.lrp import Composite, Explainer, exports
from lrpbook_lib.lrp.errors import ExportError
from lrpbook_lib.places import cache_home


def weights(model: nn.Module) -> tuple[np.ndarray, list[tuple[str, list[int]]]]:
    """All weights one after another as float32, and each one's name and shape."""
    tensors = exports.weights(model)
    flat = [t.cpu().numpy().astype(np.float32).ravel() for t in tensors.values()]
    shapes = [(name, list(t.shape)) for name, t in tensors.items()]
    return np.concatenate(flat), shapes


def portable_program(explainer: Explainer, x: Tensor) -> bytes:
    """The explainer as an ONNX program whose inputs hold the weights, too.

    Programs are kept in the cache folder: writing one takes seconds.

    Parameters
    ----------
    explainer : Explainer
        In evaluation mode, on the CPU, in float32.
    x : Tensor of shape (1, C, H, W)
        An example.

    Raises
    ------
    ExportError
        Where the packages are missing, or the model has an operation ONNX lacks.
    """
    shapes = {
        name: list(t.shape) for name, t in exports.weights(explainer.model).items()
    }
    about = [
        explainer.program,
        {name: repr(rule) for name, rule in explainer.program_rules.items()},
        shapes,
        [explainer.start, list(x.shape), torch.__version__],
    ]
    return _kept(
        about, lambda: exports.onnx_program(explainer, x, weights_as_inputs=True)
    )


def _kept(about: Any, make: Callable[[], bytes]) -> bytes:
    """A program from the cache folder; made once for what it is about."""
    kept = cache_home() / "programs" / f"{digest(about)}.onnx"
    if not kept.exists():
        made = make()
        with whole_or_absent(kept) as beside:
            beside.write_bytes(made)
    return kept.read_bytes()


def portable(
    models: Mapping[str, nn.Module],
    composites: Mapping[str, Composite],
    x: Tensor,
) -> tuple[dict[str, bytes], dict[str, list], str]:
    """All that a page needs to compute by itself.

    Returns
    -------
    assets : dict of str to bytes
        Gzipped: ``weights:model`` and ``program:composite:model``.
    tensors : dict of str to list
        Name and shape of each model's weights, in their order.
    note : str
        Where there is nothing to return: why.
    """
    assets, tensors = {}, {}
    try:
        for name, model in models.items():
            on_cpu = copy.deepcopy(model).cpu().float()
            flat, tensors[name] = weights(on_cpu)
            assets[f"weights:{name}"] = pack(flat)
            for composite, rules in composites.items():
                explainer = Explainer(on_cpu, rules, start="one", check=False)
                program = portable_program(explainer, x)
                code = np.frombuffer(program, np.uint8)
                assets[f"program:{composite}:{name}"] = pack(code)
    except ExportError as error:
        return {}, {}, str(error)
    return assets, tensors, ""


class _Maps(nn.Module):
    """Logits and the map of every class, of a network that has maps of its own."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        network: Any = self.network
        return network.maps(x)


def portable_maps(network: nn.Module, x: Tensor) -> bytes:
    """A network with its own maps as an ONNX program, weights and all.

    Input ``x``; outputs ``logits`` ``(1, classes)`` and, as ``relevance``, the maps of
    its method ``maps``, ``(1, classes, H, W)``. Kept in the cache folder, too.

    Parameters
    ----------
    network : nn.Module
        Such as a :class:`~lrpbook_lib.models.GPNet`.
    x : Tensor of shape (1, C, H, W)
        An example.

    Raises
    ------
    ExportError
        Where the packages are missing, or the network has an operation ONNX lacks.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    flat, shapes = weights(network)
    held = [hashlib.sha256(flat.tobytes()).hexdigest(), shapes]
    about = [repr(network), held, list(x.shape), torch.__version__]
    return _kept(about, lambda: exports.written(_Maps(network), (x,), ["x"]))
