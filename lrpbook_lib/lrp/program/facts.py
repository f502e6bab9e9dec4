"""What is known about a model before its program is written.

Which operations run, which of them depend on the input, which outputs cannot be
negative, which norms fold into the layer in front, and where the layers stand that a
rule is assigned to. All of it follows from the trace and the rows of the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from ..errors import LRPError, unknown_name
from .inplace import check_in_place
from .trace import Step, Trace

Nodes = frozenset[fx.Node]


@dataclass(frozen=True)
class Place:
    """Where a layer stands: all that a composite may ask about it."""

    name: str
    kind: str  # "dense", "conv", "norm" or "pool"
    position: int  # in the order in which operations run
    first: bool = False  # nothing affine between the input and it
    last: bool = False  # nothing affine between it and the output


@dataclass(frozen=True, eq=False)
class Facts:
    """One trace and one place to start, looked through.

    Attributes
    ----------
    trace : Trace
    end : fx.Node
        Where relevance starts.
    nodes : tuple of fx.Node
        What runs up to there, in order.
    active : frozenset of fx.Node
        Those that depend on the explained input.
    nonnegative : frozenset of fx.Node
        Those known to have no negative entry.
    modal : frozenset of fx.Node
        Those whose value differs between training and evaluation mode.
    switches : tuple of nn.Module
        The modules whose mode makes that difference.
    folds : dict of fx.Node to Step
        The layer in front for each norm that is folded into one.
    order : dict of str to int
        When each named layer runs.
    places : dict of fx.Node to Place
        The layers that a rule is assigned to.
    """

    trace: Trace
    end: fx.Node
    nodes: tuple[fx.Node, ...]
    active: Nodes
    nonnegative: Nodes
    modal: Nodes
    switches: tuple[nn.Module, ...]
    folds: dict[fx.Node, Step]
    order: dict[str, int]
    places: dict[fx.Node, Place]


def analyze(trace: Trace, at: str | None = None) -> Facts:
    """Look through a trace.

    Parameters
    ----------
    trace : Trace
    at : str, optional
        Name of the layer to stop at; the output of the model where there is none.
    """
    end = _end(trace, at)
    nodes = _needed(trace, end)
    check_in_place(trace)
    steps = [trace.steps[node] for node in nodes if node in trace.steps]
    active = _active(trace, steps)
    positions = {node: i for i, node in enumerate(trace.graph.nodes)}
    return Facts(
        trace=trace,
        end=end,
        nodes=nodes,
        active=active,
        nonnegative=_nonnegative(step for step in steps if step.node in active),
        modal=_modal(steps),
        switches=tuple({m: None for step in steps for m in _switch(trace, step)}),
        folds=_folds(trace, nodes, active),
        order={name: positions[node] for name, node in trace.named.items()},
        places=_places(trace, end, steps, active, positions),
    )


def _end(trace: Trace, at: str | None) -> fx.Node:
    if at is not None:
        if at not in trace.named:
            raise unknown_name("layer", at, trace.named)
        return trace.named[at]
    out = trace.output.args[0]
    if not isinstance(out, fx.Node):
        raise LRPError(
            "The model returns several values; LRP starts from one tensor. "
            "Name the layer to start from: Explainer(model, at='...'), with "
            f"one of {', '.join(list(trace.named)[-8:])}."
        )
    return out


def _needed(trace: Trace, end: fx.Node) -> tuple[fx.Node, ...]:
    needed, todo = set(), [end]
    while todo:
        node = todo.pop()
        if node not in needed:
            needed.add(node)
            todo.extend(node.all_input_nodes)
    return tuple(node for node in trace.graph.nodes if node in needed)


def _active(trace: Trace, steps: list[Step]) -> Nodes:
    active = {trace.input}
    for step in steps:
        aside = step.op.aside is not None and step.op.aside(step)
        if not aside and any(n in active for n in step.node.all_input_nodes):
            active.add(step.node)
    return frozenset(active)


def _nonnegative(steps: Iterable[Step]) -> Nodes:
    known: set[fx.Node] = set()

    def holds(value: Any) -> bool:
        if isinstance(value, fx.Node):
            return value in known
        return isinstance(value, int | float) and value >= 0

    for step in steps:
        claim = step.op.nonnegative
        if claim is not None and claim(step, holds):
            known.add(step.node)
    return frozenset(known)


def _modal(steps: list[Step]) -> Nodes:
    modal: set[fx.Node] = set()
    for step in steps:
        if step.op.calm or any(n in modal for n in step.node.all_input_nodes):
            modal.add(step.node)
    return frozenset(modal)


def _switch(trace: Trace, step: Step) -> list[nn.Module]:
    """The module whose mode decides what a dropout or a batch norm does."""
    if step.op.calm is None:
        return []
    if step.module is None:  # a call follows the mode of the module it stands in
        return [trace.model.get_submodule(step.owner)]
    return [step.module] if getattr(step.module, "p", 1) else []


def _folds(
    trace: Trace, nodes: tuple[fx.Node, ...], active: Nodes
) -> dict[fx.Node, Step]:
    folds, needed = {}, set(nodes)
    for node in active:
        if (norm := trace.steps.get(node)) and norm.op.folds:
            before = trace.steps.get(norm.operand)
            if before and before.op.affine and before.node in active:
                if len(needed.intersection(before.node.users)) == 1:
                    folds[node] = before
    return folds


def _places(
    trace: Trace,
    end: fx.Node,
    steps: list[Step],
    active: Nodes,
    positions: dict[fx.Node, int],
) -> dict[fx.Node, Place]:
    affine = {step.node for step in steps if step.op.kind in ("dense", "conv")}
    fresh = {trace.input}  # reached from the input without an affine layer
    for step in steps:
        if any(n in fresh and n not in affine for n in step.node.all_input_nodes):
            fresh.add(step.node)
    final = {end}  # reached from the output, backwards, without one
    for step in reversed(steps):
        if step.node in final and step.node not in affine:
            final.update(step.node.all_input_nodes)
    return {
        node: Place(step.name, kind, positions[node], node in fresh, node in final)
        for step in steps
        if (kind := step.op.kind) is not None and (node := step.node) in active
    }
