"""Nodes of a trace as Python source: variables, paths, values and calls."""

from __future__ import annotations

import keyword
import operator
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from . import layers, norms, pooling, steps
from .analysis import Analysis, in_place_flag
from .composite import Composite
from .trace import Trace

_INFIX = {
    operator.add: "+",
    operator.iadd: "+",
    operator.sub: "-",
    operator.isub: "-",
    operator.mul: "*",
    operator.imul: "*",
    operator.truediv: "/",
    operator.itruediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
    operator.matmul: "@",
}
#: The names a program may use without defining them.
VOCABULARY: dict[str, Any] = {
    "torch": torch,
    "F": F,
    **{f: getattr(layers, f) for f in ("conv", "conv_transposed", "fixed", "Dense")},
    **{f: getattr(norms, f) for f in ("evaluated", "normalization", "instance")},
    **{f: getattr(norms, f) for f in ("fold", "norm_of")},
    **{f: getattr(steps, f) for f in ("like", "fit", "undo", "permuted", "piece")},
    **{f: getattr(steps, f) for f in ("share", "averaged", "largest")},
    **{f: getattr(pooling, f) for f in ("max_pool", "adaptive_max_pool", "winners")},
}
_RESERVED = {*VOCABULARY, "model", "start", "watch", "h", "inf", "nan"}


class Source(Analysis):
    """Spells out what an analysis refers to."""

    def __init__(self, trace: Trace, composite: Composite, at: str | None) -> None:
        super().__init__(trace, composite, at)
        self._rule_stems = {type(r).__name__.lower() for r in self.rules.values()}
        self._bound: dict[str, Any] = {}
        self._suffixed: set[fx.Node] = set()

    def var(self, node: fx.Node) -> str:
        """The variable that holds the output of a node."""
        stem = node.name.rstrip("_0123456789")
        bad = node.name in _RESERVED or keyword.iskeyword(node.name)
        name = f"{node.name}_" if bad or stem in self._rule_stems else node.name
        return f"{name}_train" if node in self._suffixed else name

    def bind(self, value: Any, hint: str) -> str:
        """A name in the program for an object that has no spelling of its own."""
        hint = hint if hint.isidentifier() else "object"
        name, i = hint, 2
        taken = {*_RESERVED, *(self.var(n) for n in self.nodes)}
        while name in taken or self._bound.get(name, value) is not value:
            name, i = f"{hint}_{i}", i + 1
        self._bound[name] = value
        return name

    def mode(self, node: fx.Node, given: Any) -> str:
        """The training flag of a functional call, read when the program runs."""
        if given is None:
            return "True"  # left at its default: on in every mode
        return f"{self.path(self.trace.owner(node))}.training"

    def path(self, path: str) -> str:
        """A module or parameter of the model, as it is written."""
        out, at = "model", self.trace.model
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

    def source(self, value: Any, rename: Mapping[fx.Node, str] | None = None) -> str:
        """A value as Python source."""
        rename = rename or {}
        if isinstance(value, fx.Node):
            return rename[value] if value in rename else self.var(value)
        if isinstance(value, slice):
            start, stop, step = (
                "None" if v is None else self.source(v, rename)
                for v in (value.start, value.stop, value.step)
            )
            return f"slice({start}, {stop}, {step})"
        if isinstance(value, tuple | list):
            inner = [self.source(v, rename) for v in value]
            if isinstance(value, list):
                return f"[{', '.join(inner)}]"
            return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
        if isinstance(value, dict):
            pairs = (f"{k!r}: {self.source(v, rename)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, bool | int | str | None) or value is Ellipsis:
            return repr(value)
        if isinstance(value, float):
            return repr(value) if value - value == 0 else f'float("{value}")'
        if isinstance(value, torch.dtype):
            return str(value)
        return self.bind(value, type(value).__name__.lower())

    def call(self, node: fx.Node, rename: Mapping[fx.Node, str] | None = None) -> str:
        """The call that a node stands for, never in place."""
        args = [self.source(v, rename) for v in _out_of_place(node)]
        named = [
            f"{k}={self.source(v, rename)}"
            for k, v in node.kwargs.items()
            if k != "inplace"
        ]
        listed = ", ".join(args + named)
        if node.op == "call_module":
            return f"{self.path(str(node.target))}({listed})"
        if node.op == "call_method":
            method = str(node.target)
            if method.endswith("_") and not method.endswith("__"):
                method = method[:-1]
            if method == "view" and not any(a.startswith("torch.") for a in args[1:]):
                method = "reshape"  # a view may not fit the layout the program uses
            return f"{args[0]}.{method}({', '.join(args[1:] + named)})"
        target: Any = node.target
        if target in _INFIX:
            return f"{args[0]} {_INFIX[target]} {args[1]}"
        if target is operator.neg:
            return f"-{args[0]}"
        if target is operator.getitem:
            return f"{args[0]}[{args[1]}]"
        if target is getattr and isinstance(node.args[1], str):
            return f"{args[0]}.{node.args[1]}"
        name = getattr(target, "__name__", "function").rstrip("_")
        if getattr(torch, name, None) is target or f"{name}_" == target.__name__:
            return f"torch.{name}({listed})"
        if getattr(F, name, None) is target:
            return f"F.{name}({listed})"
        for own in ("max_pool1d", "max_pool2d", "max_pool3d"):
            if getattr(F, own) is target:
                return f"F.{own}({listed})"
        return f"{self.bind(target, name)}({listed})"


def _item(module: Any, index: int) -> Any:
    try:
        return module[index]
    except (TypeError, IndexError, KeyError):
        return None


def _out_of_place(node: fx.Node) -> tuple[Any, ...]:
    flag = in_place_flag(node)
    return tuple(False if i == flag else v for i, v in enumerate(node.args))
