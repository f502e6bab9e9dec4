"""The relevance program as a file: ``torch.export`` and ONNX.

In the exported program epsilon, gamma and the target are inputs, so that a page or
another program can turn these knobs without the model's Python code. The weights can be
inputs, too: one file then serves all models of an architecture.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .errors import ExportError
from .explainer import Explainer


class Exportable(nn.Module):
    """An explainer as a module of tensors only.

    ``forward(x, target, epsilon, gamma)``: images ``(B, *in)``, class indices ``(B,)``,
    and two scalars that replace the settings of that name in the rules of the kinds
    named in ``knobs``. The stabilizers of ZPlus and the like stay as they are.
    """

    #: Which rules of a program follow each knob.
    knobs: ClassVar = {"epsilon": ("Epsilon",), "gamma": ("Gamma",)}

    def __init__(self, explainer: Explainer) -> None:
        super().__init__()
        self.explainer = explainer
        self.training = False  # what is exported is checked to be so

    def forward(
        self, x: Tensor, target: Tensor, epsilon: Tensor, gamma: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits ``(B, C)`` and relevance ``(B, *in)``."""
        rules = {}
        for name, rule in self.explainer.program_rules.items():
            for knob, value in (("epsilon", epsilon), ("gamma", gamma)):
                if type(rule).__name__ in self.knobs[knob]:
                    rules[name] = replace(rule, **{knob: value})
        logits, relevance = self.explainer(x, target, **rules)
        return logits, relevance


class _Weightless(nn.Module):
    """``forward(x, target, epsilon, gamma, weights)``."""

    def __init__(self, explainer: Explainer) -> None:
        super().__init__()
        # In a list, so that its own weights are no weights of this module.
        self.held = [Exportable(explainer)]
        self.names = [f"explainer.model.{name}" for name in weights(explainer.model)]

    def forward(self, *args: Any) -> tuple[Tensor, Tensor]:
        *knobs, given = args
        named = dict(zip(self.names, given, strict=True))
        return torch.func.functional_call(self.held[0], named, tuple(knobs))


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers that the relevance program reads, in a fixed order."""
    named = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: t.detach() for name, t in named.items() if t.is_floating_point()}


def export(
    explainer: Explainer, x: Tensor, dynamic_batch: bool = True
) -> torch.export.ExportedProgram:
    """The explainer as a ``torch.export`` program with live knobs.

    Parameters
    ----------
    explainer : Explainer
        In evaluation mode: an export has no other.
    x : Tensor of shape ``(B, *in)``
        An example; with a dynamic batch its B must be at least two.
    dynamic_batch : bool
        Whether other batch sizes are allowed.
    """
    with torch.no_grad():
        return torch.export.export(
            Exportable(explainer),
            _example(explainer, x),
            dynamic_shapes=_shapes(dynamic_batch),
        )


def onnx_program(
    explainer: Explainer,
    x: Tensor,
    dynamic_batch: bool = False,
    weights_as_inputs: bool = False,
) -> bytes:
    """The explainer as an ONNX program with live knobs.

    Inputs are ``x``, ``target`` (int64), ``epsilon`` and ``gamma`` (scalars), and,
    where they are asked for, the :func:`weights` by their names; outputs are ``logits``
    and ``relevance``.

    Raises
    ------
    ExportError
        Where the packages are missing, or the model has an operation ONNX lacks.
    """
    module: nn.Module = Exportable(explainer)
    args: tuple[Any, ...] = _example(explainer, x)
    inputs = ["x", "target", "epsilon", "gamma"]
    if weights_as_inputs:
        module, given = _Weightless(explainer).eval(), weights(explainer.model)
        args, inputs = (*args, list(given.values())), [*inputs, *given]
    return written(module, args, inputs, _shapes(dynamic_batch))


def written(
    module: nn.Module, args: tuple[Any, ...], inputs: list[str], shapes: Any = None
) -> bytes:
    """A module that answers ``logits`` and ``relevance`` as an ONNX program.

    Parameters
    ----------
    module, args
        Called as ``module(*args)``.
    inputs
        Their names in the program.
    shapes
        Dynamic shapes, as for ``torch.onnx.export``.

    Raises
    ------
    ExportError
        Where the packages are missing, or the module has an operation ONNX lacks.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch asks for it late and in other words)
    except ImportError as error:
        raise ExportError(f"the package {error.name} is not installed") from None
    try:
        with torch.no_grad(), _calm():
            program = torch.onnx.export(
                module,
                args,
                dynamo=True,
                input_names=inputs,
                output_names=["logits", "relevance"],
                dynamic_shapes=shapes,
                verbose=False,
            )
    except Exception as error:  # the exporter raises many kinds
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ExportError(f"ONNX cannot express it ({said.strip()[:200]})") from error
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


def export_onnx(
    explainer: Explainer, x: Tensor, path: str | Path, dynamic_batch: bool = True
) -> Path:
    """Write the explainer as an ONNX file with live knobs: see :func:`onnx_program`.

    Notes
    -----
    Bilinear upsampling, average pooling and padding other than zeros go back by an
    automatic transpose that the ONNX exporter cannot write down yet; ``export`` can.

    Max pooling is discontinuous: where two entries of a window differ by less than a
    rounding error, another runtime may see another winner, and relevance moves there.
    Compare runtimes by correlation, not by the largest difference.
    """
    path = Path(path)
    path.write_bytes(onnx_program(explainer, x, dynamic_batch))
    return path


def _example(explainer: Explainer, x: Tensor) -> tuple[Tensor, ...]:
    if explainer.in_training:
        raise ExportError(
            "An export holds the model in evaluation form, but it is in training "
            "mode. Call explainer.eval() first."
        )
    target = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
    one = torch.ones((), dtype=x.dtype, device=x.device)
    return x, target, one * 1e-6, one * 0.25


def _shapes(dynamic_batch: bool) -> Any:
    if not dynamic_batch:
        return None
    batch = torch.export.Dim("batch")
    return {0: batch}, {0: batch}, {}, {}


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
