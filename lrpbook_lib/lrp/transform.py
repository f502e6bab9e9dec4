"""From the operations of a model to the program that explains it.

The program is a Python function in plain text. It runs the model forwards, keeping what
the rules need, and then walks back, one line an operation. What you read is what runs:
the text is compiled as it stands.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from torch import fx

from . import ops_choice, ops_flow, ops_layers  # noqa: F401 (fills the table)
from .composite import Composite
from .errors import LRPError, unknown_name
from .registry import Op
from .rule import Rule
from .rules import Pass
from .source import VOCABULARY, Source
from .trace import Trace, unsupported


class Writer(Source):
    """Writes the program of one trace, one composite and one place to start.

    Parameters
    ----------
    trace : Trace
    composite : Composite
    at : str, optional
        Name of the layer to stop at; the output of the model where there is none.
    live : bool
        Whether dropout and batch norm act as the modules' modes say, instead of being
        in evaluation form.
    """

    def __init__(
        self, trace: Trace, composite: Composite, at: str | None, live: bool = False
    ) -> None:
        super().__init__(trace, composite, at)
        self.live = live
        self._rule_names: dict[str, str] = {}
        self._rule_objects: dict[str, Rule] = {}
        self._reached: set[fx.Node] = set()
        self._watched = False

    def rule(self, node: fx.Node) -> str:
        """The variable that holds the rule of a node."""
        return self._rule_names[repr(self.rules[node])]

    def apply(
        self,
        rule: str,
        layer: str,
        a: fx.Node,
        node: fx.Node,
        R: str,
        owner: fx.Node | None = None,
    ) -> str:
        """The call of a rule."""
        flag = ", nonnegative=True" if self.nonnegative(a) else ""
        args = f"{layer}, a={self.var(a)}, z={self.var(node)}, R={R}{flag}"
        return self.flow(rule, args, owner or node)

    def flow(self, function: str, args: str, node: fx.Node) -> str:
        """A call that redistributes relevance, and that the ledger can watch."""
        if self._watched:
            return f"watch({self.name(node)!r}, {function}, {args})"
        return f"{function}({args})"

    def write(
        self,
        layers: tuple[str, ...] = (),
        watched: bool = False,
        training: bool = False,
    ) -> str:
        """The program as text.

        Parameters
        ----------
        layers : tuple of str
            Names of layers whose relevance is returned as well.
        watched : bool
            Whether every redistribution reports to a ``watch`` function (the ledger).
        training : bool
            Whether the output is that of a training pass of its own: what dropout and
            batch norm change is run once more, the rest is shared.
        """
        self._watched = watched
        self._bound = {}
        wanted = self._wanted(layers)
        self._name_rules()
        body = self._forward() + self._backward()
        end, first = self.var(self.end), self.trace.input
        if training:
            body += self._training_pass()
            end = f"{end}_train" if self.end in self.modal else end
        shown = ", ".join(
            f"{name!r}: R_{self.var(n)}" if n in self._reached else f"{name!r}: None"
            for name, n in wanted.items()
        )
        if first not in self._reached:
            raise LRPError(
                "The output does not depend on the input through any operation that "
                "relevance can follow."
            )
        body.append(f"return {end}, R_{self.var(first)}, {{{shown}}}")
        watch = "watch, " if watched else ""
        rules = "".join(
            f"\n    {name}={text}," for text, name in self._rule_names.items()
        )
        head = f"def program(model, {self.var(first)}, start, {watch}*,{rules}\n):"
        if not rules:
            head = f"def program(model, {self.var(first)}, start, {watch}):"
        return "\n".join([head, *(f"    {line}".rstrip() for line in body), ""])

    def _name_rules(self) -> None:
        self._rule_names = {}
        for node, rule in self.rules.items():
            if node in self._unused_rules():
                continue
            base = type(rule).__name__.lower()
            taken = set(self._rule_names.values())
            name, i = base, 2
            while name in taken:
                name, i = f"{base}_{i}", i + 1
            self._rule_names.setdefault(repr(rule), name)
        self._rule_objects = {
            self._rule_names[repr(rule)]: rule
            for node, rule in self.rules.items()
            if repr(rule) in self._rule_names
        }

    def _unused_rules(self) -> set[fx.Node]:
        return {
            node
            for node, rule in self.rules.items()
            if isinstance(rule, Pass)
            or (isinstance(self.op(node), ops_layers.BatchNorm) and self.folds(node))
        }

    def _forward(self) -> list[str]:
        lines = ["# Forward: the model itself, keeping what the rules need."]
        for node in self.nodes:
            if node.op == "placeholder":
                if node is not self.trace.input:
                    lines.append(f"{self.var(node)} = {self.source(node.args[0])}")
            elif node.op == "get_attr":
                lines.append(f"{self.var(node)} = {self.path(str(node.target))}")
            else:
                op = self.op(node) or Op()
                lines.append(_noted(op.forward(self, node), self._note(node)))
        return lines

    def compile_forward(self) -> tuple[str, Callable[..., Any]]:
        """The forward pass alone, up to where relevance would start."""
        self._bound = {}
        lines = [*self._forward(), f"return {self.var(self.end)}"]
        head = f"def program(model, {self.var(self.trace.input)}):"
        text = "\n".join([head, *(f"    {line}" for line in lines), ""])
        namespace: dict[str, Any] = {**VOCABULARY, **self._bound}
        exec(compile(text, "<lrp forward>", "exec"), namespace)
        return text, namespace["program"]

    def _training_pass(self) -> list[str]:
        lines = ["", "# Training: what dropout and batch norm change, as they are now."]
        kept, self.live, self._suffixed = self.live, True, self.modal
        for node in self.nodes:
            if node in self.modal:
                op = self.op(node) or Op()
                lines.append(_noted(op.forward(self, node), self._note(node)))
        self.live, self._suffixed = kept, set()
        return lines

    def _backward(self) -> list[str]:
        end = self.var(self.end)
        lines = [
            "",
            "# Backward: from the relevance of each output to that of its input.",
            f"R_{end} = start({end})",
        ]
        self._reached = {self.end}
        folded: set[fx.Node] = set()
        for node in reversed(self.nodes):
            if node not in self._reached or node.op == "placeholder" or node in folded:
                continue
            op = self.op(node)
            if op is None or type(op).backward is Op.backward:
                raise unsupported(self.trace, node)
            if isinstance(op, ops_layers.BatchNorm):
                before = self.folds(node)
                if before is not None:
                    folded.add(before)
            for a, expression in op.backward(self, node, f"R_{self.var(node)}"):
                if not self.active(a):
                    continue
                R = f"R_{self.var(a)}"
                plus = f"{R} + " if a in self._reached else ""
                self._reached.add(a)
                if expression != R:
                    note = self._rule_note(node)
                    lines.append(_noted(f"{R} = {plus}{expression}", note))
        return lines

    def _note(self, node: fx.Node) -> str:
        step = self.trace.steps[node]
        if node.op == "call_module":
            kind = type(self.trace.module(node)).__name__
            if isinstance(step.op, ops_flow.Dropout) and not self.live:
                kind += ", off in this pass"
            return f"{step.name}: {kind}"
        return step.name

    def _rule_note(self, node: fx.Node) -> str:
        before = None
        if isinstance(self.op(node), ops_layers.BatchNorm):
            before = self.folds(node)
        if before is not None:
            return f"{self.name(before)} and {self.name(node)}"
        return self.name(node)

    def compile(
        self,
        layers: tuple[str, ...] = (),
        watched: bool = False,
        training: bool = False,
    ) -> tuple[str, Callable[..., Any]]:
        """The program as text, and as the function that this text defines."""
        text = self.write(layers, watched, training)
        namespace: dict[str, Any] = {**VOCABULARY, **self._bound}
        # Rules stand in the signature as defaults: a keyword puts in another setting.
        for rule in self._rule_objects.values():
            namespace[type(rule).__name__] = type(rule)
        filename = f"<lrp program {id(self):x} {hash(text):x}>"
        linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
        exec(compile(text, filename, "exec"), namespace)
        program = namespace["program"]
        # The text shows a rule's settings; the very objects are what runs.
        if self._rule_objects:
            program.__kwdefaults__ = dict(self._rule_objects)
        return text, program

    def _wanted(self, layers: tuple[str, ...]) -> dict[str, fx.Node]:
        named, out = self.trace.named(), {}
        for name in layers:
            if name not in named:
                raise unknown_name("layer", name, named)
            if f"{name}:2" in named:
                raise LRPError(
                    f"The layer {name!r} runs more than once. Say which run: "
                    f"{name + ':2'!r} and so on is a later one; the first has no name "
                    "of its own, so give the model two layers that share a weight."
                )
            if named[name] not in self._needed_set:
                raise LRPError(
                    f"The layer {name!r} runs after the one where relevance starts."
                )
            out[name] = named[name]
        return out


def _noted(line: str, note: str) -> str:
    return f"{line}  # {note}"
