"""Activations and dropout: relevance of each entry stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn import functional as F

from ..page import Page
from ..table import Sends, called, of, row
from ..trace import Step


def stays(page: Page, step: Step, R: str) -> Sends:
    """Relevance of the output is that of the input."""
    yield step.operand, R


def always(step: Step, holds: Callable[[Any], bool]) -> bool:
    """No output is negative, whatever the input."""
    return True


def as_input(step: Step, holds: Callable[[Any], bool]) -> bool:
    """No output is negative where no input is."""
    return holds(step.operand)


def off(page: Page, step: Step) -> str:
    """In evaluation form nothing happens."""
    return page.var(step.operand)


row(
    *of(nn, "ReLU", "ReLU6", "Sigmoid", "Softplus", "Hardsigmoid"),
    *called("relu", "relu6", "sigmoid", "softplus", "hardsigmoid"),
    backward=stays,
    nonnegative=always,
)
row(
    *of(nn, "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish"),
    *of(nn, "Tanh", "Hardtanh", "Hardswish", "Softsign", "Identity"),
    *of(nn, "Hardshrink", "Softshrink", "Tanhshrink"),
    *called("leaky_relu", "prelu", "elu", "selu", "celu", "gelu", "silu", "mish"),
    *called("tanh", "hardtanh", "hardswish", "softsign"),
    *called("contiguous", "clone", "to", "float", "double"),
    backward=stays,
    nonnegative=as_input,
)
row(*of(nn, "Threshold", "LogSigmoid"), *called("neg"), backward=stays)
row(
    *of(nn, "Dropout", "Dropout?d"),
    *of(F, "dropout", "dropout?d"),
    calm=off,
    backward=stays,
    nonnegative=as_input,
)
# What these drop becomes negative.
row(
    *of(nn, "AlphaDropout", "FeatureAlphaDropout"),
    *of(F, "alpha_dropout", "feature_alpha_dropout"),
    calm=off,
    backward=stays,
)
