"""The table of operations: which is handled how.

A layer type, a function or the name of a tensor method is the key; a row, :class:`Op`,
says what the operation emits into a program, forwards and backwards, and what it does
to what is known of its input. The rows are in :mod:`lrpbook_lib.lrp.program.ops`, each
beside the functions that it emits; one more needs no more than :func:`row`, such as ::

    row(nn.PixelShuffle, backward="undo(lambda h: {call}, {a}, {R})")
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import fx

#: For each input that relevance goes to, the expression of its relevance.
Sends = Iterable[tuple[fx.Node, str]]


@dataclass(frozen=True, kw_only=True)
class Op:
    """How one kind of operation stands in a program.

    What is emitted is a template. In braces stand the variables of the operand ``{a}``,
    of the output ``{z}`` and of its relevance ``{R}``; the ``{module}``; the ``{call}``
    of the operation with ``h`` for its operand; a setting by its name, or all
    ``{settings}`` that are not left at their defaults.

    Attributes
    ----------
    backward : str or callable ``(page, step, R) -> Sends``
        The relevance of the operand, or of several inputs. Without it, and without a
        kind, relevance cannot cross.
    pair : callable ``(page, step, R) -> Sends``, optional
        As ``backward``, where more than one input depends on the explained one.
    undivided : callable ``(page, step, R) -> Sends``, optional
        As ``backward``, where nothing but a rule takes what it sends: the rule divides,
        and spreads what it has divided.
    forward : str
        The statement that runs the operation; without it, the call as it is.
    calm : str
        The expression in evaluation form, where training changes what it does.
    settings : mapping of str to object
        The parameters behind the operand, in the order of the call's signature, and
        their defaults (``...``: there is none). A layer has them as attributes.
    nonnegative : callable ``(step, holds) -> bool``, optional
        Whether the output has no negative entry, where ``holds`` says so of inputs.
    kind : {"dense", "conv", "norm", "pool"}, optional
        What a composite calls an operation that it assigns a rule to.
    layer : str
        The affine layer that the rule sees; without it there is none but Pass.
    affine : bool
        Whether a norm right behind it can be folded into that layer.
    norm : str
        For a norm that can be folded so, what ``fold`` is to see of it.
    aside : callable ``(step) -> bool``, optional
        Whether no relevance belongs to its output, as to a size.
    part : str
        Where it has several outputs: the relevance of the operand from that of the one
        picked by the index (or name) ``{part}``.
    """

    backward: str | Callable[..., Sends] = ""
    pair: Callable[..., Sends] | None = None
    undivided: Callable[..., Sends] | None = None
    forward: str = ""
    calm: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    nonnegative: Callable[..., bool] | None = None
    kind: str | None = None
    layer: str = ""
    affine: bool = False
    norm: str = ""
    aside: Callable[..., bool] | None = None
    part: str = ""


_UNKNOWN = Op()
_ROWS: dict[Any, Op] = {}
_REPLACED: dict[Any, Op | None] = {}
#: Functions that programs call by their bare name.
WORDS: dict[str, Callable[..., Any]] = {}

Function = TypeVar("Function", bound=Callable[..., Any])


def word(function: Function) -> Function:
    """Let programs call a function by its name."""
    WORDS[function.__name__] = function
    return function


def row(*keys: Any, **says: Any) -> None:
    """Put one row into the table, under all of its keys: see :class:`Op`."""
    op = Op(**says)
    for key in keys:
        _ROWS[key] = op


def of(home: Any, *names: str) -> Iterator[Any]:
    """Members of a module by name; ``?`` stands for 1, 2 and 3 dimensions."""
    for name in names:
        for n in "123" if "?" in name else " ":
            yield getattr(home, name.replace("?", n))


def called(*names: str) -> Iterator[Any]:
    """Operations by name, in every way one can call them."""
    for name in names:
        yield name
        for home in (torch, F, operator):
            if callable(function := getattr(home, name, None)):
                yield function


def find(key: Any) -> Op:
    """The row of a function, a method name or a module type (or its bases)."""
    if isinstance(key, type):
        return next((_ROWS[base] for base in key.__mro__ if base in _ROWS), _UNKNOWN)
    try:
        return _ROWS.get(key, _UNKNOWN)
    except TypeError:  # not hashable
        return _UNKNOWN


def kept_whole(kind: type) -> bool:
    """Whether a module type has a row of its own, and so is not opened."""
    return kind in _ROWS


def register(*keys: Any) -> Callable[[Function], Function]:
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

    def decorate(rule: Function) -> Function:
        for key in keys:
            _REPLACED.setdefault(key, _ROWS.get(key))
            row(key, backward=functools.partial(_custom, rule))
        return rule

    return decorate


def unregister(*keys: Any) -> None:
    """Take back what :func:`register` added."""
    for key in keys:
        before = _REPLACED.pop(key, None)
        _ROWS.pop(key, None)
        if before is not None:
            _ROWS[key] = before


def _custom(rule: Callable[..., Any], page: Any, step: Any, R: str) -> Sends:
    """Call a function of the user's with ``(layer, a, z, R)``."""
    inputs = [n for n in step.node.all_input_nodes if page.active(n)]
    target, rest = step.node.target, []
    if step.module is not None:
        layer = page.path(target)
    else:
        layer = repr(target) if isinstance(target, str) else page.bind(target)
        # Settings of the call follow, so that a rule can read them.
        rest = [page.source(v) for v in step.node.args if v not in inputs]
        rest += [f"{k}={page.source(v)}" for k, v in step.node.kwargs.items()]
    a = ", ".join(page.var(n) for n in inputs)
    several = len(inputs) > 1
    args = [layer, f"({a})" if several else a, page.var(step.node), R, *rest]
    call = f"{page.bind(rule)}({', '.join(args)})"
    for i, n in enumerate(inputs):
        yield n, f"{call}[{i}]" if several else call
