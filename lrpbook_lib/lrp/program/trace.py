"""From a model to the list of operations that its forward pass runs.

``torch.fx`` records the forward pass once, without data; where it cannot, a run on an
input does. Layers of ``torch.nn`` stay
whole and keep their names; everything else is opened up to the operations inside.
"""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..errors import (
    NeedsInputError,
    UnsupportedOperationError,
    UntraceableModelError,
)
from .attention import open_attention
from .inplace import owner, settle
from .record import record
from .rows import Op, find, kept_whole

#: NumPy's names, which PyTorch takes as well.
_ALIASES = {"axis": "dim"}


class _Tracer(fx.Tracer):
    """An fx tracer that remembers which node is the output of which module."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return kept_whole(type(m)) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple, kwargs: dict) -> Any:
        if isinstance(m, nn.MultiheadAttention) and not kept_whole(type(m)):
            raise TypeError("attention is opened in a run on an input.")
        out = super().call_module(m, forward, args, kwargs)
        if isinstance(out, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(out.node)
        return out


@dataclass(frozen=True, eq=False)
class Step:
    """One operation of the forward pass.

    Attributes
    ----------
    node : fx.Node
    name : str
        The path of the layer, such as ``features.0``; for an operation that is no
        layer, the path of the module it stands in and the operation, such as
        ``block.add``. A second use of the same layer is called ``name:2``.
    owner : str
        The path of the module whose forward runs it.
    module : nn.Module or None
        The layer, where the operation is one.
    op : Op
        Its row of the table; an empty one where nothing is registered.
    """

    node: fx.Node
    name: str
    owner: str
    module: nn.Module | None
    op: Op

    @property
    def type_name(self) -> str:
        """The type of a layer, or the name of a function."""
        if self.module is not None:
            return type(self.module).__name__
        return getattr(self.node.target, "__name__", str(self.node.target))

    @property
    def operand(self) -> Any:
        """The first argument, which for most operations is what relevance goes to."""
        return next(iter((*self.node.args, *self.node.kwargs.values())), None)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What the layer holds or the call is given, under the names of the row."""
        known = dict(self.op.settings)
        if self.module is not None:
            return {k: getattr(self.module, k, default) for k, default in known.items()}
        known |= zip(known, self.node.args[1:], strict=False)
        given = {_ALIASES.get(k, k): v for k, v in self.node.kwargs.items()}
        return known | {k: v for k, v in given.items() if k in known}

    def unsupported(self, why: str = "") -> UnsupportedOperationError:
        """The error for want of a rule, with the three lines that add one."""
        target: Any = self.node.target
        if self.module is not None:
            kind = type(self.module)
            key, what = f"{kind.__module__}.{kind.__qualname__}", "layer"
        elif self.node.op == "call_method":
            key, what = repr(str(target)), "method"
        else:
            name = getattr(target, "__qualname__", str(target))
            key, what = spelled(target) or f"{target.__module__}.{name}", "function"
        return UnsupportedOperationError(
            f"No rule says how relevance crosses {key} at {self.name!r} (node "
            f"{self.node.name!r}, in module {self.owner or 'the model itself'!r}). "
            f"{why and why + ' '}Register one, from input a, output z and relevance R "
            "of the output:\n\n"
            f"    @lrpbook_lib.lrp.register({key})\n"
            f"    def rule({what}, a, z, R):\n"
            "        return R  # shaped like a\n\n"
            "or start the explanation in front of it: Explainer(model, at='...')."
        )


@dataclass(frozen=True, eq=False)
class Trace:
    """The operations of a model in the order in which they run.

    Attributes
    ----------
    steps : dict of fx.Node to Step
    named : dict of str to fx.Node
        Every name that relevance can be asked for, and the node that carries it.
    shape : tuple of int or None
        The shape of a sample that the operations hold for; None: of any.
    """

    model: nn.Module
    graph: fx.Graph
    steps: dict[fx.Node, Step]
    named: dict[str, fx.Node]
    input: fx.Node
    output: fx.Node
    shape: tuple[int, ...] | None = None

    @property
    def captured(self) -> str:
        """Which way the operations were recorded."""
        if self.shape is None:
            return "traced by torch.fx, for inputs of any shape"
        sizes = ", ".join(map(str, ("B", *self.shape)))
        return f"recorded from a run, for inputs of shape ({sizes})"


def spelled(function: Any) -> str | None:
    """A function as one would write it, and not where it happens to be defined."""
    name = getattr(function, "__name__", "")
    for home in (torch, operator, F):
        if getattr(home, name, None) is function:
            return f"{home.__name__}.{name}"
    # Some of torch.nn.functional carry another name than the one they are called by.
    names = (name for name, f in vars(F).items() if f is function)
    return next((f"{F.__name__}.{name}" for name in names), None)


def trace(model: nn.Module, example: Tensor | None = None) -> Trace:
    """Record the forward pass of a model.

    Parameters
    ----------
    model : nn.Module
    example : Tensor of shape ``(B, *in)``, optional
        Record a run on this input, instead of tracing without data.

    Raises
    ------
    NeedsInputError
        Where it cannot be traced without an input.
    UntraceableModelError
        Where the forward pass branches on data, or takes several inputs.
    """
    if example is None:
        graph, outputs = _traced(model)
    else:
        graph, outputs = record(model, example)
    open_attention(graph)
    settle(graph, model)
    inputs = [n for n in graph.nodes if n.op == "placeholder"]
    needed = [n for n in inputs if not n.args]
    if len(needed) != 1:
        names = ", ".join(n.name for n in inputs)
        raise UntraceableModelError(
            f"{type(model).__name__}.forward takes {len(needed)} inputs ({names}); LRP "
            "explains one tensor. Wrap the model so that the others are attributes."
        )
    (output,) = [n for n in graph.nodes if n.op == "output"]
    steps = _steps(model, graph)
    named = {step.name: node for node, step in steps.items()}
    for path, nodes in outputs.items():
        for i, node in enumerate(nodes if path else (), start=1):
            named.setdefault(path if i == 1 else f"{path}:{i}", node)
    shape = None if example is None else tuple(example.shape[1:])
    return Trace(model, graph, steps, named, needed[0], output, shape)


def _traced(model: nn.Module) -> tuple[fx.Graph, dict[str, list[fx.Node]]]:
    tracer = _Tracer()
    try:
        return tracer.trace(model), tracer.outputs
    except Exception as error:
        raise NeedsInputError(
            f"{type(model).__name__} cannot be traced without an input: {error} "
            "LRP needs a forward pass that runs the same operations for every input. "
            "Call the explainer with an input first, from which they are recorded; "
            "turn an `if` or a loop on tensor values into torch.where."
        ) from error


def _steps(model: nn.Module, graph: fx.Graph) -> dict[fx.Node, Step]:
    seen: Counter[str] = Counter()
    steps = {}
    for node in graph.nodes:
        if not node.op.startswith("call_"):
            continue
        inside, module = owner(node), None
        if node.op == "call_module":
            base = str(node.target)
            module = model.get_submodule(base)
        else:
            # fx numbers repeated operations over the whole model: add, add_1, ...
            base = f"{inside}.{node.name}" if inside else node.name
        seen[base] += 1
        name = base if seen[base] == 1 else f"{base}:{seen[base]}"
        op = find(node.target if module is None else type(module))
        steps[node] = Step(node, name, inside, module, op)
    return steps
