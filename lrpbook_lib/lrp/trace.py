"""From a model to the list of operations that its forward pass runs.

``torch.fx`` records the forward pass once, without data. Layers of ``torch.nn`` stay
whole and keep their names; everything else is opened up to the operations inside.
"""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from .errors import UnsupportedOperationError, UntraceableModelError
from .registry import Op, find, registered


class _Tracer(fx.Tracer):
    """An fx tracer that remembers which node is the output of which module."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return registered(type(m)) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple, kwargs: dict) -> Any:
        out = super().call_module(m, forward, args, kwargs)
        if isinstance(out, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(out.node)
        return out


@dataclass(frozen=True)
class Step:
    """One operation of the forward pass.

    Attributes
    ----------
    node : fx.Node
    name : str
        The path of the layer, such as ``features.0``; for an operation that is no
        layer, the path of the module it stands in and the operation, such as
        ``block.add``. A second use of the same layer is called ``name:2``.
    op : Op or None
        How it is written, forwards and backwards; None where nothing is registered.
    """

    node: fx.Node
    name: str
    op: Op | None


@dataclass(frozen=True)
class Trace:
    """The operations of a model in the order in which they run."""

    model: nn.Module
    graph: fx.Graph
    steps: dict[fx.Node, Step]
    outputs: dict[str, list[fx.Node]]
    input: fx.Node
    output: fx.Node

    def owner(self, node: fx.Node) -> str:
        """The path of the module whose forward runs this node."""
        return _owner(node)

    def module(self, node: fx.Node) -> nn.Module:
        """The layer that a ``call_module`` node calls."""
        return self.model.get_submodule(str(node.target))

    def named(self) -> dict[str, fx.Node]:
        """Every name that relevance can be asked for, and the node that carries it."""
        names = {step.name: node for node, step in self.steps.items()}
        for path, nodes in self.outputs.items():
            if path:
                names.setdefault(path, nodes[0])
                for i, node in enumerate(nodes[1:], start=2):
                    names.setdefault(f"{path}:{i}", node)
        return names


def _owner(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] if isinstance(entry, tuple) else "" for entry in stack.values()]
    return paths[-1] if paths else ""


def trace(model: nn.Module) -> Trace:
    """Record the forward pass of a model.

    Raises
    ------
    UntraceableModelError
        Where the forward pass branches on data, or takes several inputs.
    """
    tracer = _Tracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:
        raise UntraceableModelError(
            f"{type(model).__name__} cannot be traced: {error} "
            "LRP needs a forward pass that runs the same operations for every input. "
            "Turn an `if` or a loop on tensor values into torch.where or move it out "
            "of the model, or explain the part in front of it."
        ) from error
    inputs = [n for n in graph.nodes if n.op == "placeholder"]
    needed = [n for n in inputs if not n.args]
    if len(needed) != 1:
        names = ", ".join(n.name for n in inputs)
        raise UntraceableModelError(
            f"{type(model).__name__}.forward takes {len(needed)} inputs ({names}); LRP "
            "explains one tensor. Wrap the model so that the others are attributes."
        )
    (output,) = [n for n in graph.nodes if n.op == "output"]
    return Trace(model, graph, _steps(model, graph), tracer.outputs, needed[0], output)


def _steps(model: nn.Module, graph: fx.Graph) -> dict[fx.Node, Step]:
    seen: Counter[str] = Counter()
    steps = {}
    for node in graph.nodes:
        if node.op not in ("call_module", "call_function", "call_method"):
            continue
        if node.op == "call_module":
            base = str(node.target)
            op = find(type(model.get_submodule(base)))
        else:
            owner = _owner(node)
            # fx numbers repeated operations over the whole model: add, add_1, ...
            base = f"{owner}.{node.name}" if owner else node.name
            op = find(node.target)
        seen[base] += 1
        name = base if seen[base] == 1 else f"{base}:{seen[base]}"
        steps[node] = Step(node, name, op)
    return steps


def _spelled(function: Any) -> str:
    """A function as one would write it, and not where it happens to be defined."""
    name = getattr(function, "__name__", str(function))
    for home in (torch, operator, torch.nn.functional):
        if getattr(home, name, None) is function:
            return f"{home.__name__}.{name}"
    return f"{function.__module__}.{getattr(function, '__qualname__', name)}"


def unsupported(trace: Trace, node: fx.Node) -> UnsupportedOperationError:
    """The error for an operation without a rule, with the three lines that add one."""
    step = trace.steps[node]
    if node.op == "call_module":
        what: Any = type(trace.module(node))
        key = f"{what.__module__}.{what.__qualname__}"
        call = "def rule(layer, a, z, R):"
    elif node.op == "call_method":
        key = repr(str(node.target))
        call = "def rule(method, a, z, R):"
    else:
        target: Any = node.target
        key = _spelled(target)
        call = "def rule(function, a, z, R):"
    return UnsupportedOperationError(
        f"No rule says how relevance crosses {key} at {step.name!r} (node "
        f"{node.name!r}, in module {_owner(node) or 'the model itself'!r}). Register "
        f"one, from input a, output z and relevance R of the output:\n\n"
        f"    @lrpbook_lib.lrp.register({key})\n    {call}\n"
        "        return R  # shaped like a\n\n"
        "or start the explanation in front of it: Explainer(model, at='...')."
    )
