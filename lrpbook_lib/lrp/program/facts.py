"""What is known about a model before its program is written.

Which operations run, which of them depend on the input, which outputs cannot be
negative, which norms fold into the layer in front, and where the layers stand that a
rule is assigned to. All of it follows from the trace and the rows of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import fx, nn

from ..errors import LRPError, unknown_name
from .trace import Step, Trace


@dataclass(frozen=True)
class Place:
    """Where a layer stands: all that a composite may ask about it."""

    name: str
    kind: str  # "dense", "conv", "norm", "pool" or "gate"
    first: bool = False  # nothing affine between the input and it
    last: bool = False  # nothing affine between it and the output


@dataclass(frozen=True, eq=False)
class Facts:
    """What follows from a trace and the place to stop at.

    Attributes
    ----------
    trace : Trace
    at : str or None
        Name of the layer to stop at; the output of the model where there is none.
    nonnegative_input : bool
        Whether the explained input has no negative entry.
    """

    trace: Trace
    at: str | None = None
    nonnegative_input: bool = False

    @cached_property
    def end(self) -> fx.Node:
        """Where relevance starts."""
        named = self.trace.named
        if self.at is not None:
            if self.at not in named:
                raise unknown_name("layer", self.at, named)
            return named[self.at]
        out = self.trace.output.args[0]
        if not isinstance(out, fx.Node):
            raise LRPError(
                "The model returns several values; LRP starts from one tensor. "
                "Name the layer to start from: Explainer(model, at='...'), with "
                f"one of {', '.join(list(named)[-8:])}."
            )
        return out

    @cached_property
    def nodes(self) -> dict[fx.Node, None]:
        """What runs up to the end, in order."""
        needed, todo = set(), [self.end]
        while todo:
            node = todo.pop()
            if node not in needed:
                needed.add(node)
                todo.extend(node.all_input_nodes)
        return {node: None for node in self.trace.graph.nodes if node in needed}

    @cached_property
    def steps(self) -> list[Step]:
        """Those of the nodes that are operations."""
        return [step for node, step in self.trace.steps.items() if node in self.nodes]

    @cached_property
    def active(self) -> set[fx.Node]:
        """Nodes that depend on the explained input."""
        active = {self.trace.input}
        for step in self.steps:
            aside = step.op.aside is not None and step.op.aside(step)
            if not aside and not active.isdisjoint(step.node.all_input_nodes):
                active.add(step.node)
        return active

    @cached_property
    def nonnegative(self) -> set[fx.Node]:
        """Nodes known to have no negative entry."""
        known = {self.trace.input} if self.nonnegative_input else set()

        def holds(value: Any) -> bool:
            if isinstance(value, fx.Node):
                return value in known
            return isinstance(value, int | float) and value >= 0

        for step in self.steps:
            claim = step.op.nonnegative
            if claim is not None and step.node in self.active and claim(step, holds):
                known.add(step.node)
        return known

    @cached_property
    def modal(self) -> set[fx.Node]:
        """Nodes whose value differs between training and evaluation mode."""
        modal: set[fx.Node] = set()
        for step in self.steps:
            if step.op.calm or not modal.isdisjoint(step.node.all_input_nodes):
                modal.add(step.node)
        return modal

    @cached_property
    def switches(self) -> list[nn.Module]:
        """The modules whose mode decides what dropouts and batch norms do."""
        switches = []
        for step in (step for step in self.steps if step.op.calm):
            if step.module is None:  # a call follows the module it stands in
                switches.append(self.trace.model.get_submodule(step.owner))
            elif getattr(step.module, "p", 1):
                switches.append(step.module)
        return switches

    @cached_property
    def folds(self) -> dict[fx.Node, Step]:
        """The layer in front for each norm that is folded into one."""
        folds = {}
        for step in self.steps:
            before = self.trace.steps.get(step.operand)
            if step.op.norm and before and before.op.affine:
                alone = len(self.nodes.keys() & before.node.users.keys()) == 1
                if alone and before.node in self.active:
                    folds[step.node] = before
        return folds

    def paired(self, step: Step) -> bool:
        """Whether a step multiplies what depends on the input with what does, too."""
        inputs = [n for n in step.node.all_input_nodes if n in self.active]
        return step.op.pair is not None and len(inputs) > 1

    def _kind(self, step: Step) -> str | None:
        if self.paired(step):  # of a product of matrices, both sides are the data's
            return "gate" if step.op.kind is None else None
        return step.op.kind

    @cached_property
    def places(self) -> dict[fx.Node, Place]:
        """The layers that a rule is assigned to."""
        affine = {s.node for s in self.steps if s.op.kind in ("dense", "conv")}
        fresh = {self.trace.input}  # reached from the input without an affine layer
        for step in self.steps:
            if any(n in fresh and n not in affine for n in step.node.all_input_nodes):
                fresh.add(step.node)
        final = {self.end}  # reached from the output, backwards, without one
        for step in reversed(self.steps):
            if step.node in final and step.node not in affine:
                final.update(step.node.all_input_nodes)
        return {
            step.node: Place(step.name, kind, step.node in fresh, step.node in final)
            for step in self.steps
            if (kind := self._kind(step)) is not None and step.node in self.active
        }
