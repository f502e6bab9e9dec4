"""The relevance program as a file: ``torch.export`` and ONNX.

In the exported program epsilon, gamma and the target are inputs, so that a page or
another program can turn these knobs without the model's Python code.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .explainer import Explainer

#: Settings of rules that become inputs where the composite uses them.
KNOBS = ("epsilon", "gamma")


class Exportable(nn.Module):
    """An explainer as a module of tensors only.

    ``forward(x, target, epsilon, gamma)``: images ``(B, *in)``, class indices ``(B,)``,
    and two scalars that replace the settings of that name in every rule of the kinds
    named in ``epsilon_of`` and ``gamma_of``. Returns logits and relevance.

    Parameters
    ----------
    explainer : Explainer
    epsilon_of, gamma_of : tuple of str
        Which rules of the program follow the knobs, by class name. By default the
        stabilizers of ZPlus and the like stay as they are: only Epsilon's epsilon and
        Gamma's gamma are live.
    """

    def __init__(
        self,
        explainer: Explainer,
        epsilon_of: tuple[str, ...] = ("Epsilon",),
        gamma_of: tuple[str, ...] = ("Gamma",),
    ) -> None:
        super().__init__()
        self.explainer = explainer
        self.training = False  # what is exported is checked to be so
        self.knobs = {"epsilon": epsilon_of, "gamma": gamma_of}

    def forward(
        self, x: Tensor, target: Tensor, epsilon: Tensor, gamma: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits ``(B, C)`` and relevance ``(B, *in)``."""
        given = {"epsilon": epsilon, "gamma": gamma}
        rules: dict[str, Any] = {}
        for name, rule in self.explainer.program_rules.items():
            live = {
                f.name: given[f.name]
                for f in fields(rule)
                if f.name in KNOBS and type(rule).__name__ in self.knobs[f.name]
            }
            if live:
                rules[name] = replace(rule, **live)
        logits, relevance = self.explainer(x, target, **rules)
        return logits, relevance


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
    module, args, shapes = _arguments(explainer, x, dynamic_batch)
    with torch.no_grad():
        return torch.export.export(module, args, dynamic_shapes=shapes)


def export_onnx(
    explainer: Explainer,
    x: Tensor,
    path: str | Path,
    dynamic_batch: bool = True,
) -> Path:
    """Write the explainer as an ONNX file with live knobs.

    Inputs are ``x``, ``target`` (int64), ``epsilon`` and ``gamma`` (scalars); outputs
    are ``logits`` and ``relevance``. Needs the packages onnx and onnxscript.

    Notes
    -----
    Bilinear upsampling, average pooling and padding other than zeros go back by an
    automatic transpose that the ONNX exporter cannot write down yet; ``export`` can.

    Max pooling is discontinuous: where two entries of a window differ by less than a
    rounding error, another runtime may see another winner, and relevance moves there.
    Compare runtimes by correlation, not by the largest difference.
    """
    module, args, shapes = _arguments(explainer, x, dynamic_batch)
    with torch.no_grad():
        program = torch.onnx.export(
            module,
            args,
            dynamo=True,
            input_names=["x", "target", "epsilon", "gamma"],
            output_names=["logits", "relevance"],
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    program.save(str(path), external_data=False)
    return Path(path)


def _arguments(
    explainer: Explainer, x: Tensor, dynamic_batch: bool
) -> tuple[nn.Module, tuple[Tensor, ...], Any]:
    if explainer._in_training:
        raise RuntimeError(
            "An export holds the model in evaluation form, but it is in training "
            "mode. Call explainer.eval() first."
        )
    target = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
    one = torch.ones((), dtype=x.dtype, device=x.device)
    batch = torch.export.Dim("batch") if dynamic_batch else None
    shapes: Any = ({0: batch}, {0: batch}, {}, {}) if dynamic_batch else None
    return Exportable(explainer), (x, target, one * 1e-6, one * 0.25), shapes
