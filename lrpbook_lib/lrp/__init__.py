"""Layer-wise relevance propagation as a program of differentiable operations."""

from .bilrp import BiLRP, Pair, region_sums
from .branch import Rule
from .composite import COMPOSITES, Composite
from .errors import LRPError, UnsupportedOperationError, UntraceableModelError
from .explainer import Explainer
from .exports import export, export_onnx
from .layers import Affine, affine
from .program import register, unregister
from .rules import AlphaBeta, Epsilon, Flat, Gamma, Half, Pass, WSquare, ZBox, ZPlus
