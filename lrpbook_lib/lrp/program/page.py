"""How one program spells variables, values, calls and rules."""

from __future__ import annotations

import keyword
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..rule import Rule
from .facts import Facts
from .inplace import in_place_flag, in_place_name
from .table import WORDS, Sends
from .trace import Step, spelled

_INFIX = {
    **{operator.add: "+", operator.sub: "-", operator.mul: "*", operator.matmul: "@"},
    **{operator.iadd: "+", operator.isub: "-", operator.imul: "*"},
    **{operator.truediv: "/", operator.itruediv: "/", operator.floordiv: "//"},
    **{operator.mod: "%", operator.pow: "**", operator.eq: "==", operator.ne: "!="},
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
    again : frozenset of fx.Node
        Nodes that run a second time on these lines, under a name of their own.
    bound : dict of str to object
        Objects without a spelling of their own, by their names in the program.
    """

    facts: Facts
    rules: Mapping[fx.Node, Rule]
    live: bool = False
    watched: bool = False
    again: frozenset[fx.Node] = frozenset()
    bound: dict[str, Any] = field(default_factory=dict)

    def active(self, value: Any) -> bool:
        """Whether a value depends on the explained input."""
        return isinstance(value, fx.Node) and value in self.facts.active

    def step(self, node: fx.Node) -> Step:
        """The operation that a node stands for."""
        return self.facts.trace.steps[node]

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
            taken = node.name in _RESERVED or node.name in WORDS
            taken = taken or keyword.iskeyword(node.name)
            taken = taken or node.name.rstrip("_0123456789") in rules
            names[node] = f"{node.name}_" if taken else node.name
        return names

    def var(self, node: fx.Node) -> str:
        """The variable that holds the output of a node."""
        return self.names[node] + ("_train" if node in self.again else "")

    def flow(self, function: str, args: str, step: Step) -> str:
        """A call that redistributes relevance, and that the ledger can watch."""
        if self.watched:
            return f"watch({step.name!r}, {function}, {args})"
        return f"{function}({args})"

    def redistribute(
        self, place: Step, layer: Callable[[], str], z: fx.Node, R: str
    ) -> Sends:
        """The rule of a place, called for an affine layer with output ``z``."""
        rule, a = self.rules[place.node], place.operand
        if rule.passes:
            yield a, R
            return
        name = {repr(rule): name for name, rule in self.signature.items()}[repr(rule)]
        flag = ", nonnegative=True" if a in self.facts.nonnegative else ""
        args = f"{layer()}, a={self.var(a)}, z={self.var(z)}, R={R}{flag}"
        yield a, self.flow(name, args, place)

    def bind(self, value: Any) -> str:
        """A name in the program for an object that has no spelling of its own."""
        hint = getattr(value, "__name__", type(value).__name__.lower())
        if WORDS.get(hint) is value:
            return hint
        hint = hint if hint.isidentifier() else "object"
        name, i = hint, 2
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

    def source(self, value: Any, rename: Mapping[Any, str] | None = None) -> str:
        """A value as Python source."""
        if isinstance(value, fx.Node):
            return (rename or {}).get(value) or self.var(value)
        if isinstance(value, slice):
            ends = (value.start, value.stop, value.step)
            return f"slice({', '.join(self.source(v, rename) for v in ends)})"
        if isinstance(value, tuple | list):
            inner = ", ".join(self.source(v, rename) for v in value)
            if isinstance(value, list):
                return f"[{inner}]"
            return f"({inner}{',' if len(value) == 1 else ''})"
        if isinstance(value, dict):
            pairs = (f"{k!r}: {self.source(v, rename)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, bool | int | str | None) or value is Ellipsis:
            return repr(value)
        if isinstance(value, float):
            return repr(value) if value - value == 0 else f'float("{value}")'
        if isinstance(value, torch.dtype):
            return str(value)
        return self.bind(value)

    def keywords(self, settings: Mapping[str, Any]) -> str:
        """Settings as the keyword arguments of a call."""
        return ", ".join(f"{k}={self.source(v)}" for k, v in settings.items())

    def call(self, step: Step, rename: Mapping[Any, str] | None = None) -> str:
        """The call that an operation stands for, never in place.

        Parameters
        ----------
        step : Step
        rename : mapping of fx.Node to str, optional
            Other expressions for some of its inputs.
        """
        node, flag = step.node, in_place_flag(step.node)
        args = [
            self.source(False if i == flag else v, rename)
            for i, v in enumerate(node.args)
        ]
        named = []
        for k, v in node.kwargs.items():
            if k == "training" and self.live:  # a trace knows one mode only
                named.append(f"training={self.path(step.owner)}.training")
            elif k != "inplace":
                named.append(f"{k}={self.source(v, rename)}")
        listed = ", ".join(args + named)
        if step.module is not None:
            if not getattr(step.module, "inplace", False):
                return f"{self.path(str(node.target))}({listed})"
            # In place it would overwrite what the rules still need.
            if type(step.module) is nn.ReLU:
                return f"F.relu({listed})"
            return f"{self.path(str(node.target))}({listed}.clone())"
        if isinstance(node.target, str):
            method = node.target[:-1] if in_place_name(node) else node.target
            if method == "view" and not any(a.startswith("torch.") for a in args[1:]):
                method = "reshape"  # a view may not fit the layout the program uses
            return f"{args[0]}.{method}({', '.join(args[1:] + named)})"
        if node.target in _INFIX:
            return f"{args[0]} {_INFIX[node.target]} {args[1]}"
        if node.target is operator.neg:
            return f"-{args[0]}"
        if node.target is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        if node.target is getattr:
            return f"{args[0]}.{node.args[1]}"
        return f"{self._function(node)}({listed})"

    def _function(self, node: fx.Node) -> str:
        home, _, name = (spelled(node.target) or "").rpartition(".")
        if in_place_name(node):
            name = name[:-1]
        if home == F.__name__:
            return f"F.{name}"
        return f"torch.{name}" if home == "torch" else self.bind(node.target)


def _item(module: Any, index: int) -> Any:
    try:
        return module[index]
    except (TypeError, IndexError, KeyError):
        return None
