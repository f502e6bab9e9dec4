"""Layer-wise relevance propagation as a program of differentiable operations."""

from .composite import COMPOSITES, Composite
from .errors import LRPError, UnsupportedOperationError, UntraceableModelError
from .explainer import Explainer
from .layers import Affine, affine
from .registry import register, unregister
from .rule import Rule
from .rules import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Pass,
    WSquare,
    ZBox,
    ZPlus,
)

__all__ = [
    "COMPOSITES",
    "Affine",
    "AlphaBeta",
    "Composite",
    "Epsilon",
    "Explainer",
    "Flat",
    "Gamma",
    "LRPError",
    "Pass",
    "Rule",
    "UnsupportedOperationError",
    "UntraceableModelError",
    "WSquare",
    "ZBox",
    "ZPlus",
    "affine",
    "register",
    "unregister",
]
