"""From facts and rules to the program that explains a model.

The program is a Python function in plain text. It runs the model forwards, keeping what
the rules need, and then walks back, one line an operation. What you read is what runs:
the text is compiled as it stands.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import fx

from ..branch import Rule
from ..errors import LRPError, unknown_name
from . import ops  # noqa: F401 (fills the table)
from .facts import Facts
from .rows import WORDS, Sends
from .spelling import Page
from .trace import Step


class Variant(NamedTuple):
    """Which of a model's programs is meant.

    Attributes
    ----------
    layers : tuple of str
        Names of layers whose relevance is returned as well.
    watched : bool
        Whether every redistribution reports to a ``watch`` function (the ledger).
    training : bool
        Whether the output is that of a training pass of its own: what dropout and
        batch norm change is run once more, the rest is shared.
    forward_only : bool
        Whether it stops where relevance would start.
    nonnegative : bool
        Whether it is for inputs without a negative entry: half the work of a rule that
        tells signs apart in the first layer.
    """

    layers: tuple[str, ...] = ()
    watched: bool = False
    training: bool = False
    forward_only: bool = False
    nonnegative: bool = False


@dataclass(frozen=True)
class Program:
    """A program as text, as the function that this text defines, and its rules."""

    text: str
    run: Callable[..., Any]
    rules: dict[str, Rule]


def write(
    facts: Facts, rules: Mapping[fx.Node, Rule], variant: Variant, live: bool = False
) -> Program:
    """Write a program.

    Parameters
    ----------
    facts : Facts
    rules : mapping of fx.Node to Rule
        The rule of each place.
    variant : Variant
    live : bool
        Whether dropout and batch norm act as the modules' modes say, instead of being
        in evaluation form.
    """
    wanted = {name: _wanted(facts, name) for name in variant.layers}
    facts = replace(facts, nonnegative_input=variant.nonnegative)
    page = Page(facts, rules, live, variant.watched, shown=frozenset(wanted.values()))
    x, end = page.var(facts.trace.input), page.var(facts.end)
    body = ["# Forward: the model itself, keeping what the rules need."]
    if facts.trace.shape is not None:
        body.insert(0, f"# {facts.trace.captured.capitalize()}.")
    body += _forward(page, facts.nodes)
    if variant.forward_only:
        head = [f"def program(model, {x}):"]
        return _compiled(page, head, [*body, f"return {end}"], {})
    lines, reached = _backward(page)
    body += ["", "# Backward: from the relevance of each output to that of its input."]
    body += lines
    if variant.training:
        again = replace(page, live=True, again=True)
        body += ["", "# Training: what dropout and batch norm change, as they are now."]
        body += _forward(again, [node for node in facts.nodes if node in facts.modal])
        end = again.var(facts.end)
    if facts.trace.input not in reached:
        raise LRPError(
            "The output does not depend on the input through any operation that "
            "relevance can follow."
        )
    by_layer = ", ".join(
        f"{name!r}: " + (f"R_{page.var(node)}" if node in reached else "None")
        for name, node in wanted.items()
    )
    body.append(f"return {end}, R_{x}, {{{by_layer}}}")
    takes = f"model, {x}, start" + (", watch" if variant.watched else "")
    head = [f"def program({takes}):"]
    if page.signature:
        rules_shown = [f"    {k}={rule!r}," for k, rule in page.signature.items()]
        head = [f"def program({takes}, *,", *rules_shown, "):"]
    return _compiled(page, head, body, page.signature)


def _forward(page: Page, nodes: Iterable[fx.Node]) -> list[str]:
    lines = []
    for node in nodes:
        if node.op == "placeholder":
            if node.args:  # an argument left at its default
                lines.append(f"{page.var(node)} = {page.source(node.args[0])}")
        elif node.op == "get_attr":
            lines.append(f"{page.var(node)} = {page.path(str(node.target))}")
        else:
            step, z = page.facts.trace.steps[node], page.var(node)
            note = step.name
            if step.module is not None:
                note += f": {step.type_name}"
            if step.op.forward:
                line = page.fill(step.op.forward, step)
            elif step.op.calm and not page.live:
                line = f"{z} = {page.fill(step.op.calm, step)}"
                if step.module is not None and step.op.calm == "{a}":
                    note += ", off in this pass"
            else:
                line = f"{z} = {page.call(step)}"
            lines.append(f"{line}  # {note}")
    return lines


def _backward(page: Page) -> tuple[list[str], set[fx.Node]]:
    """The lines that walk back, and the nodes whose relevance they know."""
    facts = page.facts
    lines = [f"R_{page.var(facts.end)} = start({page.var(facts.end)})"]
    reached = {facts.end}
    for node in reversed(facts.nodes):
        if node not in reached or node.op == "placeholder":
            continue
        step = facts.trace.steps[node]
        note = step.name
        if node in facts.folds:
            note = f"{facts.folds[node].name} and {note}"
        for a, expression in _sends(page, step, f"R_{page.var(node)}"):
            if not page.active(a):
                continue
            R = f"R_{page.var(a)}"
            plus = f"{R} + " if a in reached else ""
            reached.add(a)
            lines.append(f"{R} = {plus}{expression}  # {note}")
    return lines, reached


def _sends(page: Page, step: Step, R: str) -> Sends:
    """What a step's row says of the relevance of its inputs."""
    back = step.op.backward
    if page.facts.paired(step):
        assert step.op.pair is not None
        return step.op.pair(page, step, R)
    if step.op.undivided and page.rule_next(step.operand):
        back = step.op.undivided
    if callable(back):
        return back(page, step, R)
    if back:
        return [(step.operand, page.fill(back, step, R))]
    if step.op.kind is None:
        raise step.unsupported()
    return page.by_rule(step, R)


def _wanted(facts: Facts, name: str) -> fx.Node:
    """The node whose relevance a layer's name stands for."""
    named = facts.trace.named
    if name not in named:
        raise unknown_name("layer", name, named)
    if f"{name}:2" in named:
        raise LRPError(
            f"The layer {name!r} runs more than once. Say which run: "
            f"{name + ':2'!r} and so on is a later one; the first has no name "
            "of its own, so give the model two layers that share a weight."
        )
    if named[name] not in facts.nodes:
        raise LRPError(f"The layer {name!r} runs after the one where relevance starts.")
    return named[name]


def _compiled(
    page: Page, head: list[str], body: list[str], rules: dict[str, Rule]
) -> Program:
    text = "\n".join([*head, *(f"    {line}".rstrip() for line in body), ""])
    space: dict[str, Any] = {"torch": torch, "F": F, **WORDS, **page.bound}
    # Rules stand in the signature as defaults: a keyword puts in another setting.
    space |= {type(rule).__name__: type(rule) for rule in rules.values()}
    filename = f"<lrp program {hash(text):x}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), space)
    run = space["program"]
    if rules:  # the text shows a rule's settings; the very objects are what runs
        run.__kwdefaults__ = dict(rules)
    return Program(text, run, rules)
