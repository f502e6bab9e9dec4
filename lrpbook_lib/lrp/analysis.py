"""What is known about a model before its program is written.

Which operations run, which of them depend on the input, which outputs cannot be
negative, where the affine layers stand, and which rule each of them gets.
"""

from __future__ import annotations

import inspect
import operator
from typing import Any

from torch import fx, nn

from . import ops_flow, ops_layers
from .composite import Composite, Place
from .errors import LRPError, UnsupportedOperationError, unknown_name
from .registry import Op
from .rule import Rule
from .trace import Trace, unsupported


class Analysis:
    """One trace, one composite and one place to start, looked through.

    Parameters
    ----------
    trace : Trace
    composite : Composite
    at : str, optional
        Name of the layer to stop at; the output of the model where there is none.
    """

    def __init__(self, trace: Trace, composite: Composite, at: str | None) -> None:
        self.trace = trace
        self._positions = {n: i for i, n in enumerate(trace.graph.nodes)}
        self.end = self._end(at)
        self.nodes = self._needed(self.end)
        self._active = self._dependent()
        self._nonnegative: set[fx.Node] = set()
        for node in self.nodes:
            op = self.op(node)
            if op is not None and self.active(node) and op.nonnegative(self, node):
                self._nonnegative.add(node)
        self.modal = self._modal()
        self._check_in_place()
        self.places = self._places()
        order = {name: self._order(n) for name, n in trace.named().items()}
        self.rules: dict[fx.Node, Rule] = composite.assign(self.places, order)

    def active(self, value: Any) -> bool:
        """Whether a value depends on the explained input."""
        return isinstance(value, fx.Node) and value in self._active

    def nonnegative(self, node: Any) -> bool:
        """Whether a value is known to have no negative entry."""
        return node in self._nonnegative

    def name(self, node: fx.Node) -> str:
        """The name of a layer or operation."""
        return self.trace.steps[node].name

    def op(self, node: fx.Node) -> Op | None:
        """How a node's operation is written."""
        return self.trace.steps[node].op if node in self.trace.steps else None

    def unsupported(self, node: fx.Node) -> UnsupportedOperationError:
        """The error for a node that no rule covers."""
        return unsupported(self.trace, node)

    def argument(
        self, node: fx.Node, position: int, name: str, default: Any = None
    ) -> Any:
        """An argument of the call, wherever it was given."""
        if len(node.args) > position:
            return node.args[position]
        return node.kwargs.get(name, default)

    def setting(self, node: fx.Node, name: str, default: Any) -> Any:
        """A keyword of the call, or the attribute of the layer."""
        if node.op == "call_module":
            return getattr(self.trace.module(node), name, default)
        return node.kwargs.get(name, default)

    def mode_of(self, node: fx.Node) -> nn.Module | None:
        """The module whose mode decides what a dropout or batch norm does."""
        if not isinstance(self.op(node), ops_flow.Dropout | ops_layers.BatchNorm):
            return None
        if node.op == "call_module":
            module = self.trace.module(node)
            return module if getattr(module, "p", 1) else None
        return self.trace.model.get_submodule(self.trace.owner(node))

    def folds(self, norm: fx.Node) -> fx.Node | None:
        """The layer that a batch norm folds into, where it stands right behind one."""
        before = self.argument(norm, 0, "input")
        if not self.active(before) or before not in self.trace.steps:
            return None
        alone = len([u for u in before.users if u in self._needed_set]) == 1
        return before if alone and ops_layers.is_affine(self.op(before)) else None

    def folded(self, node: fx.Node) -> str | None:
        """The name of the layer that a batch norm is folded into."""
        if not isinstance(self.op(node), ops_layers.BatchNorm):
            return None
        before = self.folds(node)
        return None if before is None else self.name(before)

    def kind_name(self, node: fx.Node) -> str:
        """The type of a layer, or the name of a function."""
        if node.op == "call_module":
            return type(self.trace.module(node)).__name__
        return getattr(node.target, "__name__", str(node.target))

    def _end(self, at: str | None) -> fx.Node:
        if at is None:
            out = self.trace.output.args[0]
            if not isinstance(out, fx.Node):
                raise LRPError(
                    "The model returns several values; LRP starts from one tensor. "
                    "Name the layer to start from: Explainer(model, at='...'), with "
                    f"one of {', '.join(list(self.trace.named())[-8:])}."
                )
            return out
        named = self.trace.named()
        if at not in named:
            raise unknown_name("layer", at, named)
        return named[at]

    def _needed(self, end: fx.Node) -> list[fx.Node]:
        needed, todo = set(), [end]
        while todo:
            node = todo.pop()
            if node not in needed:
                needed.add(node)
                todo.extend(node.all_input_nodes)
        self._needed_set = needed
        return [n for n in self.trace.graph.nodes if n in needed]

    def _dependent(self) -> set[fx.Node]:
        active = {self.trace.input}
        for node in self.nodes:
            if any(n in active for n in node.all_input_nodes) and not isinstance(
                self.op(node), ops_flow.Aside
            ):
                is_shape = node.target is getattr and node.args[1] not in (
                    "values",
                    "mT",
                )
                if not is_shape:
                    active.add(node)
        return active

    def _modal(self) -> set[fx.Node]:
        """Nodes whose value differs between training and evaluation mode."""
        modal: set[fx.Node] = set()
        for node in self.nodes:
            own = isinstance(self.op(node), ops_flow.Dropout | ops_layers.BatchNorm)
            if own or any(n in modal for n in node.all_input_nodes):
                modal.add(node)
        return modal

    def _order(self, node: fx.Node) -> int:
        return self._positions[node]

    def _places(self) -> dict[fx.Node, Place]:
        def affine(node: fx.Node) -> bool:
            op = self.op(node)
            return op is not None and op.kind in ("dense", "conv")

        fresh = {self.trace.input}  # reached from the input without an affine layer
        for node in self.nodes:
            if any(n in fresh and not affine(n) for n in node.all_input_nodes):
                fresh.add(node)
        final = {self.end}  # reached from the output, backwards, without one
        for node in reversed(self.nodes):
            if node in final and not affine(node):
                final.update(node.all_input_nodes)
        places = {}
        for node in self.nodes:
            op = self.op(node)
            if op is None or op.kind is None or node not in self._active:
                continue
            places[node] = Place(
                self.name(node),
                op.kind,
                self._order(node),
                first=node in fresh,
                last=node in final,
            )
        return places

    def _check_in_place(self) -> None:
        for node in self.trace.graph.nodes:
            if node.target is operator.setitem:
                raise LRPError(
                    f"The model assigns into a tensor ({node.name!r}, in module "
                    f"{self.trace.owner(node) or 'the model itself'!r}); write it with "
                    "torch.cat, torch.where or padding, so that the value has a name."
                )
            if not _writes_in_place(self.trace, node) or not node.all_input_nodes:
                continue
            source = node.all_input_nodes[0]
            later = [u for u in source.users if self._order(u) > self._order(node)]
            if later or not node.users:
                raise LRPError(
                    f"{node.name!r} changes its input in place, and that input is used "
                    f"again afterwards. Use the result instead (x = F.relu(x)) or drop "
                    "inplace=True."
                )


def _writes_in_place(trace: Trace, node: fx.Node) -> bool:
    if node.op == "call_module":
        return bool(getattr(trace.module(node), "inplace", False))
    if node.op == "call_method":
        method = str(node.target)
        return method.endswith("_") and not method.endswith("__")
    if node.op != "call_function":
        return False
    if node.target in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
        return True
    name = getattr(node.target, "__name__", "")
    ends = name.endswith("_") and not name.endswith("__")
    return (
        ends
        or bool(node.kwargs.get("inplace", False))
        or in_place_flag(node) is not None
    )


def in_place_flag(node: fx.Node) -> int | None:
    """Position of an ``inplace=True`` that was given without its name."""
    target: Any = node.target
    if node.op != "call_function" or not any(v is True for v in node.args):
        return None
    try:
        names = list(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return None
    if "inplace" in names:
        i = names.index("inplace")
        if i < len(node.args) and node.args[i] is True:
            return i
    return None
