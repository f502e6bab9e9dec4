"""How one program spells variables, values, calls and rules."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..branch import Rule
from .facts import Facts
from .rows import WORDS, Sends
from .trace import Step, spelled

_INFIX = {
    **{operator.add: "+", operator.sub: "-", operator.mul: "*", operator.matmul: "@"},
    **{operator.truediv: "/", operator.floordiv: "//", operator.mod: "%"},
    **{operator.pow: "**", operator.eq: "==", operator.ne: "!="},
    **{operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">="},
}
_RESERVED = {"torch", "F", "model", "start", "watch", "h", "inf", "nan"}


@dataclass(frozen=True, eq=False)
class Page:
    """What the lines of one program have in common.

    Attributes
    ----------
    facts : Facts
    rules : mapping of fx.Node to Rule
        The rule of each place.
    live : bool
        Whether dropout and batch norm act as the modules' modes say, instead of being
        in evaluation form.
    watched : bool
        Whether every redistribution reports to a ``watch`` function (the ledger).
    again : bool
        Whether what training changes runs a second time, under names of its own.
    shown : set of fx.Node
        Nodes whose relevance the program returns as well.
    bound : dict of str to object
        Objects without a spelling of their own, by their names in the program.
    """

    facts: Facts
    rules: Mapping[fx.Node, Rule]
    live: bool = False
    watched: bool = False
    again: bool = False
    shown: frozenset[fx.Node] = frozenset()
    bound: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def signature(self) -> dict[str, Rule]:
        """The rules that the program calls, by their names in it."""
        rules: dict[str, Rule] = {}
        for node, rule in self.rules.items():
            if not rule.passes and node not in self.facts.folds:
                name, i = (stem := type(rule).__name__.lower()), 2
                while repr(rules.get(name, rule)) != repr(rule):
                    name, i = f"{stem}_{i}", i + 1
                rules[name] = rule
        return rules

    @cached_property
    def names(self) -> dict[fx.Node, str]:
        """The variable of each node, which is no other name of the program."""
        rules = {type(rule).__name__.lower() for rule in self.rules.values()}
        names = {}
        for node in self.facts.nodes:
            taken = node.name in {*_RESERVED, *WORDS} or keyword.iskeyword(node.name)
            taken = taken or node.name.rstrip("_0123456789") in rules
            names[node] = f"{node.name}_" if taken else node.name
        return names

    def active(self, value: Any) -> bool:
        """Whether a value depends on the explained input."""
        return isinstance(value, fx.Node) and value in self.facts.active

    def var(self, node: fx.Node) -> str:
        """The variable that holds the output of a node."""
        again = self.again and node in self.facts.modal
        return self.names[node] + ("_train" if again else "")

    def bind(self, value: Any) -> str:
        """A name in the program for an object that has no spelling of its own."""
        hint = getattr(value, "__name__", type(value).__name__.lower())
        name, i = (hint := hint if hint.isidentifier() else "object"), 2
        taken = {*_RESERVED, *WORDS, *self.names.values()}
        while name in taken or self.bound.get(name, value) is not value:
            name, i = f"{hint}_{i}", i + 1
        self.bound[name] = value
        return name

    def path(self, path: str) -> str:
        """A module or parameter of the model, as it is written."""
        out, at = "model", self.facts.trace.model
        for part in path.split(".") if path else []:
            inside: Any = getattr(at, part, None)
            if part.isdigit() and _item(at, int(part)) is inside:
                out += f"[{part}]"
            elif part.isidentifier() and not keyword.iskeyword(part):
                out += f".{part}"
            else:
                out += f".get_submodule({part!r})"
            at = inside
        return out

    def source(self, value: Any, h: Any = None) -> str:
        """A value as Python source; the node ``h`` is called so."""
        if isinstance(value, fx.Node):
            return "h" if value is h else self.var(value)
        if isinstance(value, slice):
            ends = (value.start, value.stop, value.step)
            return f"slice({', '.join(self.source(v, h) for v in ends)})"
        if isinstance(value, tuple | list):
            inner = ", ".join(self.source(v, h) for v in value)
            if isinstance(value, list):
                return f"[{inner}]"
            return f"({inner}{',' if len(value) == 1 else ''})"
        if isinstance(value, dict):
            pairs = (f"{k!r}: {self.source(v, h)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, bool | int | str | None) or value is Ellipsis:
            return repr(value)
        if isinstance(value, float):
            return repr(value) if value - value == 0 else f'float("{value}")'
        if isinstance(value, torch.dtype):
            return str(value)
        return self.bind(value)

    def call(self, step: Step, h: Any = None) -> str:
        """The call that an operation stands for; the input ``h`` is called so."""
        target: Any = step.node.target
        args = [self.source(v, h) for v in step.node.args]
        named = []
        for k, v in step.node.kwargs.items():
            live = k == "training" and self.live  # a trace knows one mode only
            mode = f"{self.path(step.owner)}.training"
            named.append(f"{k}={mode if live else self.source(v, h)}")
        listed = ", ".join(args + named)
        if step.module is not None:
            if not getattr(step.module, "inplace", False):
                return f"{self.path(target)}({listed})"
            # In place it would overwrite what the rules still need.
            if type(step.module) is nn.ReLU:
                return f"F.relu({listed})"
            return f"{self.path(target)}({listed}.clone())"
        if isinstance(target, str):
            if target == "view" and not any(a.startswith("torch.") for a in args[1:]):
                target = "reshape"  # a view may not fit the layout the program uses
            return f"{args[0]}.{target}({', '.join(args[1:] + named)})"
        if target in _INFIX:
            return f"{args[0]} {_INFIX[target]} {args[1]}"
        if target is operator.neg:
            return f"-{args[0]}"
        if target is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        if target is getattr:
            return f"{args[0]}.{step.node.args[1]}"
        home, _, name = (spelled(target) or "").rpartition(".")
        short = {"torch": f"torch.{name}", F.__name__: f"F.{name}"}.get(home)
        return f"{short or self.bind(target)}({listed})"

    def fill(self, template: str, step: Step, R: str = "", part: Any = None) -> str:
        """A template of the table, filled in for one operation."""

        def slot(match: re.Match[str]) -> str:
            match match[1]:
                case "R":
                    return R
                case "a":
                    return self.var(step.operand)
                case "z":
                    return self.var(step.node)
                case "part":
                    return self.source(part)
                case "module":
                    return self.path(str(step.node.target))
                case "call":
                    return self.call(step, h=step.operand)
                case "norm":
                    return self.fill(step.op.norm, step)
                case "batch":  # whether a norm uses the statistics of the batch
                    at = step.owner if step.module is None else str(step.node.target)
                    return f", batch={self.path(at)}.training" if self.live else ""
                case "settings":
                    shown = {
                        k: v
                        for k, v in step.settings.items()
                        if v is not ... and v != step.op.settings[k]
                    }
                    return ", ".join(f"{k}={self.source(v)}" for k, v in shown.items())
                case name:
                    return self.source(step.settings[name])

        return re.sub(r"\{(\w+)\}", slot, template)

    def flow(self, function: str, args: str, step: Step) -> str:
        """A call that redistributes relevance, and that the ledger can watch."""
        if self.watched:
            return f"watch({step.name!r}, {function}, {args})"
        return f"{function}({args})"

    def rule_next(self, node: fx.Node) -> bool:
        """Whether nothing but a rule takes the relevance of a node, or looks at it."""
        facts = self.facts
        while node in facts.trace.steps and node not in self.shown and not self.watched:
            if sum(user in facts.active for user in node.users) != 1:
                return False
            step = facts.trace.steps[node]
            if step.op.backward != "{R}":
                place = facts.folds.get(node, step)
                rule = self.rules.get(place.node)
                if step.op.backward or rule is None:
                    return False
                if not rule.passes:
                    return type(rule).__call__ is Rule.__call__
            node = step.operand
        return False

    def by_rule(self, step: Step, R: str) -> Sends:
        """The rule of a place, called for the layer that its row names.

        A norm that is folded hands its relevance to the layer in front: both are one.
        """
        place = self.facts.folds.get(step.node, step)
        rule, a = self.rules[place.node], place.operand
        if rule.passes:
            return [(a, R)]
        if not place.op.layer:
            raise step.unsupported(f"It takes Pass() only, and is given {rule!r}.")
        if [n for n in place.node.all_input_nodes if self.active(n)] != [a]:
            raise step.unsupported("A rule takes weights as given; these depend on x.")
        layer = self.fill(place.op.layer, place)
        if place is not step:
            layer = f"fold({layer}, {self.fill('{norm}, {a}{batch}', step)})"
        name = next(k for k, v in self.signature.items() if repr(v) == repr(rule))
        args = f"{layer}, a={self.var(a)}, z={self.var(step.node)}, R={R}"
        flag = ", nonnegative=True" if a in self.facts.nonnegative else ""
        return [(a, self.flow(name, args + flag, place))]


def _item(module: Any, index: int) -> Any:
    try:
        return module[index]
    except (TypeError, IndexError, KeyError):
        return None
