"""LRP programs without weights, small enough that a page can hold several of them.

The weights are inputs of the program, not part of it. One program then serves all
models of an architecture, and a model's weights travel once for all its programs.
"""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lrpbook_lib.explore.widgets.page import pack
from lrpbook_lib.files import digest, whole_or_absent
from lrpbook_lib.lrp import Composite, Explainer
from lrpbook_lib.lrp.exports import Exportable
from lrpbook_lib.places import (
    cache_home,
)


class ProgramError(RuntimeError):
    """An explainer that cannot be written as an ONNX program, and why."""


def state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that the relevance program reads, in a fixed order."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: t.detach() for name, t in named.items() if t.is_floating_point()}


def weights(model: nn.Module) -> tuple[np.ndarray, list[tuple[str, list[int]]]]:
    """All weights one after another as float32, and each one's name and shape."""
    tensors = state(model)
    flat = [t.cpu().numpy().astype(np.float32).ravel() for t in tensors.values()]
    shapes = [(name, list(t.shape)) for name, t in tensors.items()]
    return np.concatenate(flat), shapes


class _WeightsGiven(nn.Module):
    """``forward(x, target, epsilon, gamma, weights)``."""

    def __init__(self, explainer: Explainer) -> None:
        super().__init__()
        # In a list, so that its own weights are no weights of this module.
        self.held = [Exportable(explainer)]
        self.names = [f"explainer.model.{name}" for name in state(explainer.model)]

    def forward(
        self,
        x: Tensor,
        target: Tensor,
        epsilon: Tensor,
        gamma: Tensor,
        weights: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        given = dict(zip(self.names, weights, strict=True))
        knobs = (x, target, epsilon, gamma)
        return torch.func.functional_call(self.held[0], given, knobs)


def portable_program(explainer: Explainer, x: Tensor) -> bytes:
    """The explainer as an ONNX program whose inputs hold the weights, too.

    Inputs are ``x`` (1, C, H, W), ``target`` (1,), the scalars ``epsilon`` and
    ``gamma``, and each weight by its name; outputs are ``logits`` and ``relevance``.
    Programs are kept in the cache folder: writing one takes seconds.

    Parameters
    ----------
    explainer : Explainer
        In evaluation mode, on the CPU, in float32.
    x : Tensor of shape (1, C, H, W)
        An example.

    Raises
    ------
    ProgramError
        Where the packages are missing, or the model has an operation ONNX lacks.
    """
    about = [
        explainer.program,
        {name: repr(rule) for name, rule in explainer.program_rules.items()},
        {name: list(t.shape) for name, t in state(explainer.model).items()},
        [explainer.start, list(x.shape), torch.__version__],
    ]
    kept = cache_home() / "programs" / f"{digest(about)}.onnx"
    if not kept.exists():
        made = _write(explainer, x)
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
    except ProgramError as error:
        return {}, {}, str(error)
    return assets, tensors, ""


def _write(explainer: Explainer, x: Tensor) -> bytes:
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch asks for it late and in other words)
    except ImportError as error:
        raise ProgramError(f"the package {error.name} is not installed") from None
    one = torch.ones(())
    given = (x, torch.zeros(1, dtype=torch.long), one * 1e-6, one * 0.25)
    tensors = state(explainer.model)
    inputs = ["x", "target", "epsilon", "gamma", *tensors]
    try:
        with torch.no_grad(), _calm():
            program = torch.onnx.export(
                _WeightsGiven(explainer).eval(),
                (*given, list(tensors.values())),
                dynamo=True,
                input_names=inputs,
                output_names=["logits", "relevance"],
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ProgramError(f"ONNX cannot express it ({said.strip()[:200]})") from error
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.onnx"
        program.save(str(path), external_data=False)
        model = onnx.load(str(path))
    # Nine tenths of the file tell from which line of Python each step came.
    for each in (model.graph, *model.graph.node, *model.functions):
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    model.ClearField("metadata_props")
    model.graph.ClearField("value_info")
    return model.SerializeToString()


@contextmanager
def _calm() -> Iterator[None]:
    """Without the exporter's notes on packages that nobody asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
