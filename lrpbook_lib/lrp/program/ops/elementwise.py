"""Activations and dropout: relevance of each entry stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn import functional as F

from ..rows import called, of, row
from ..trace import Step


def always(step: Step, holds: Callable[[Any], bool]) -> bool:
    """No output is negative, whatever the input."""
    return True


def as_input(step: Step, holds: Callable[[Any], bool]) -> bool:
    """No output is negative where no entry of the operand is."""
    return holds(step.operand)


def as_inputs(step: Step, holds: Callable[[Any], bool]) -> bool:
    """No output is negative where nothing that is given is."""
    return all(holds(v) for v in (*step.node.args, *step.node.kwargs.values()))


row(
    *of(nn, "ReLU", "ReLU6", "Sigmoid", "Softplus", "Hardsigmoid"),
    *called("relu", "relu6", "sigmoid", "softplus", "hardsigmoid"),
    backward="{R}",
    nonnegative=always,
)
row(
    *of(nn, "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish"),
    *of(nn, "Tanh", "Hardtanh", "Hardswish", "Softsign", "Identity"),
    *of(nn, "Hardshrink", "Softshrink", "Tanhshrink"),
    *called("leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *called("tanh", "hardtanh", "hardswish", "softsign"),
    *called("contiguous", "clone", "to", "float", "double"),
    backward="{R}",
    nonnegative=as_input,
)
row(*of(nn, "Threshold", "LogSigmoid"), *called("neg"), backward="{R}")
row(
    *of(nn, "Dropout", "Dropout?d"),
    *of(F, "dropout", "dropout?d"),
    backward="{R}",
    calm="{a}",
    nonnegative=as_input,
)
row(  # what these drop becomes negative
    *of(nn, "AlphaDropout", "FeatureAlphaDropout"),
    *of(F, "alpha_dropout", "feature_alpha_dropout"),
    backward="{R}",
    calm="{a}",
)
