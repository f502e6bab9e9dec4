"""Which operation is handled how, and how to add one.

A layer type, a function or the name of a tensor method is the key; an :class:`Op` says
how the operation is written in the program, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from torch import fx

if TYPE_CHECKING:
    from .analysis import Analysis
    from .transform import Writer

_OPS: dict[Any, Op] = {}
_OWN: set[type] = set()
_REPLACED: dict[Any, Op | None] = {}


class Op:
    """How one kind of operation stands in the program."""

    #: What a composite calls it: "dense", "conv", "norm", "pool"; None: no rule needed.
    kind: str | None = None

    def forward(self, w: Writer, node: fx.Node) -> str:
        """The statement that runs the operation."""
        return f"{w.var(node)} = {w.call(node)}"

    def backward(
        self, w: Writer, node: fx.Node, R: str
    ) -> Iterable[tuple[fx.Node, str]]:
        """For each input that relevance goes to, the expression for its relevance."""
        raise TypeError(f"{type(self).__name__} does not say where relevance goes")

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        """Whether the output has no negative entry, whatever the data."""
        return False

    def inputs(self, w: Analysis, node: fx.Node) -> list[fx.Node]:
        """The inputs that depend on the explained input, in order."""
        return [n for n in node.all_input_nodes if w.active(n)]


class Custom(Op):
    """A function of the user's, called with ``(layer, a, z, R)``."""

    def __init__(self, rule: Callable[..., Any]) -> None:
        self.rule = rule

    def backward(
        self, w: Writer, node: fx.Node, R: str
    ) -> Iterable[tuple[fx.Node, str]]:
        inputs = self.inputs(w, node)
        rule = w.bind(self.rule, getattr(self.rule, "__name__", "rule"))
        if node.op == "call_module":
            layer, rest = w.path(str(node.target)), []
        else:
            target: Any = node.target
            layer = (
                repr(target)
                if isinstance(target, str)
                else w.bind(target, target.__name__)
            )
            # Settings of the call follow, so that a rule can read them.
            rest = [w.source(arg) for arg in node.args if arg not in inputs]
            rest += [f"{k}={w.source(v)}" for k, v in node.kwargs.items()]
        several = len(inputs) > 1
        a = ", ".join(w.var(n) for n in inputs)
        a = f"({a})" if several else a
        args = ", ".join([layer, a, w.var(node), R, *rest])
        call = f"{rule}({args})"
        for i, n in enumerate(inputs):
            yield n, f"{call}[{i}]" if several else call


def register(*keys: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say how relevance crosses an operation that the library does not know.

    ::

        @register(MyLayer)
        def my_rule(layer, a, z, R):
            return R

    Parameters
    ----------
    *keys : type, function or str
        A module type, a function such as ``torch.tanh``, or the name of a tensor
        method. A registered module type is kept whole: its forward is not opened.

    Notes
    -----
    The rule gets the module (or the function, or the method's name), the input ``a``,
    the output ``z`` and the relevance ``R`` of the output, and returns the relevance of
    ``a``. Where the operation has several inputs that depend on the data, ``a`` is a
    tuple and so is the answer. Use differentiable operations, and read weights from
    the module as they are, to keep the relevance trainable.
    """

    def decorate(rule: Callable[..., Any]) -> Callable[..., Any]:
        for key in keys:
            _REPLACED.setdefault(key, _OPS.get(key))
            add(key, Custom(rule))
            if isinstance(key, type):
                _OWN.add(key)
        return rule

    return decorate


def add(key: Any, op: Op) -> None:
    """Put an operation into the table."""
    _OPS[key] = op


def unregister(*keys: Any) -> None:
    """Take back what :func:`register` added."""
    for key in keys:
        before = _REPLACED.pop(key, None)
        _OPS.pop(key, None)
        _OWN.discard(key)
        if before is not None:
            add(key, before)


def find(key: Any) -> Op | None:
    """The entry for a function, a method name or a module type (or its bases)."""
    if isinstance(key, type):
        return next((_OPS[base] for base in key.__mro__ if base in _OPS), None)
    try:
        return _OPS.get(key)
    except TypeError:  # not hashable
        return None


def registered(kind: type) -> bool:
    """Whether a module type was registered by the user (and so stays whole)."""
    return kind in _OWN
