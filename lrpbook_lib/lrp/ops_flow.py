"""Operations that need no rule: activations, reshaping, sums, concatenation."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .errors import LRPError
from .registry import Op, add

if TYPE_CHECKING:
    from .analysis import Analysis
    from .transform import Writer

Sends = Iterable[tuple[fx.Node, str]]


class Elementwise(Op):
    """An activation: relevance of each entry stays where it is."""

    def __init__(self, positive: bool = False, keeps: bool = False) -> None:
        self.positive, self.keeps = positive, keeps

    def forward(self, w: Writer, node: fx.Node) -> str:
        a = w.argument(node, 0, "input")
        if node.op == "call_module" and getattr(w.trace.module(node), "inplace", False):
            # An in-place activation would overwrite the output the rules still need.
            if type(w.trace.module(node)) is nn.ReLU:
                return f"{w.var(node)} = F.relu({w.var(a)})"
            return f"{w.var(node)} = {w.path(str(node.target))}({w.var(a)}.clone())"
        return super().forward(w, node)

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        yield w.argument(node, 0, "input"), R

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return self.positive or (
            self.keeps and w.nonnegative(w.argument(node, 0, "input"))
        )


class Dropout(Elementwise):
    """Off in the relevance pass, unless the pass is that of the logits."""

    def forward(self, w: Writer, node: fx.Node) -> str:
        a = w.argument(node, 0, "input")
        if not w.live:
            return f"{w.var(node)} = {w.var(a)}"
        if node.op == "call_module":
            return f"{w.var(node)} = {w.path(str(node.target))}({w.var(a)})"
        p = w.source(w.argument(node, 1, "p", 0.5))
        mode = w.mode(node, w.argument(node, 2, "training", None))
        target: Any = node.target
        return f"{w.var(node)} = F.{target.__name__}({w.var(a)}, {p}, training={mode})"


class Reshape(Op):
    """Flatten, view, squeeze and the like: the entries keep their order."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = w.argument(node, 0, "input")
        yield a, f"like({R}, {w.var(a)})"

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return w.nonnegative(w.argument(node, 0, "input"))


class Permute(Reshape):
    """A permutation of the dimensions."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = w.argument(node, 0, "input")
        dims = node.args[1:] or tuple(node.kwargs.values())
        if len(dims) == 1 and isinstance(dims[0], tuple | list):
            dims = tuple(dims[0])
        yield a, f"permuted({R}, {w.source(tuple(dims))})"


class Move(Reshape):
    """Entries are copied, moved or dropped: relevance goes back the same way."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = w.argument(node, 0, "input")
        yield a, f"undo(lambda h: {w.call(node, {a: 'h'})}, {w.var(a)}, {R})"


class Pad(Move):
    """Padding: what stands in the margin and is no copy of the input is left out."""

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        value = w.setting(node, "value", 0) or 0
        return value >= 0 and super().nonnegative(w, node)

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = w.argument(node, 0, "input")
        # The derivative at zero: a constant margin adds nothing to it.
        yield a, f"undo(lambda h: {w.call(node, {a: 'h'})}, {w.var(a)}, {R})"


class Pieces(Op):
    """chunk, split, unbind: several outputs, each a slice; see Item."""

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return w.nonnegative(w.argument(node, 0, "input"))


class Item(Move):
    """Indexing a tensor, or picking one output of chunk, split, unbind or max."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        source, index = node.args
        assert isinstance(source, fx.Node)
        op = w.op(source)
        if isinstance(op, Pieces):
            a = w.argument(source, 0, "input")
            call = f"{w.call(source, {a: 'h'})}[{w.source(index)}]"
            yield a, f"undo(lambda h: {call}, {w.var(a)}, {R})"
        elif isinstance(op, Largest) and index == 0:
            yield from op.backward(w, source, R)
        else:
            yield from super().backward(w, node, R)


class Attribute(Op):
    """``x.shape`` and the like carry no relevance; ``max(...).values`` does."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        source, name = node.args
        assert isinstance(source, fx.Node)
        op = w.op(source)
        if isinstance(op, Largest) and name == "values":
            yield from op.backward(w, source, R)
        elif name == "mT":
            yield source, f"{R}.mT"
        else:
            raise LRPError(f"No relevance can cross the attribute {name!r}.")


class Add(Op):
    """A sum or difference: relevance in proportion to the summands."""

    def __init__(self, sign: str = "") -> None:
        self.sign = sign

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        left, right = node.args[:2] if len(node.args) > 1 else self._named(node)
        alpha = node.kwargs.get("alpha", 1)
        times = "" if alpha == 1 else f"{w.source(alpha)} * "
        terms = ((left, ""), (right, self.sign + times))
        constant = "".join(
            f", constant={sign}{w.source(n)}" for n, sign in terms if not w.active(n)
        )
        for n, sign in terms:
            if isinstance(n, fx.Node) and w.active(n):
                args = f"a={sign}{w.var(n)}, z={w.var(node)}, R={R}{constant}"
                yield n, w.flow("share", args, node)

    @staticmethod
    def _named(node: fx.Node) -> tuple[Any, Any]:
        return (*node.args, node.kwargs["other"])  # type: ignore[return-value]

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        terms = node.args[:2]
        alpha = node.kwargs.get("alpha", 1)
        return (
            self.sign == ""
            and isinstance(alpha, int | float)
            and alpha >= 0
            and len(terms) == 2
            and all(
                w.nonnegative(t)
                if isinstance(t, fx.Node)
                else isinstance(t, int | float) and t >= 0
                for t in terms
            )
        )


class Multiply(Op):
    """A product with or a quotient by a constant: relevance stays."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        inputs = self.inputs(w, node)
        if len(inputs) != 1 or node.args.count(inputs[0]) > 1:
            raise w.unsupported(node)
        if node.target in (operator.truediv, torch.div, "div") and (
            node.args[0] is not inputs[0]
        ):
            raise w.unsupported(node)
        (a,) = inputs
        yield a, f"fit({R}, {w.var(a)})"

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return all(
            w.nonnegative(t)
            if isinstance(t, fx.Node)
            else isinstance(t, int | float) and t >= 0
            for t in (*node.args, *node.kwargs.values())
        )


class Negative(Elementwise):
    """A change of sign: relevance stays."""


class MatMul(Op):
    """A matrix product with a constant on the right is a dense layer."""

    kind = "dense"

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a, weight = node.args[:2]
        if not isinstance(a, fx.Node) or not w.active(a) or w.active(weight):
            raise w.unsupported(node)
        layer = f"Dense(weight={w.source(weight)}.mT)"
        yield a, w.apply(w.rule(node), layer, a, node, R)


class Cat(Op):
    """A concatenation: each input takes its own piece."""

    def _parts(self, node: fx.Node) -> tuple[Any, Any]:
        tensors = node.args[0] if node.args else node.kwargs["tensors"]
        named = node.kwargs.get("dim", node.kwargs.get("axis", 0))
        return tensors, node.args[1] if len(node.args) > 1 else named

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        tensors, dim = self._parts(node)
        for i, n in enumerate(tensors):
            if w.active(n):
                which = w.source(tuple(tensors))
                yield n, f"piece({R}, {which}, which={i}, dim={w.source(dim)})"

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return all(w.nonnegative(n) for n in self._parts(node)[0])


class Stack(Cat):
    """A stack: each input takes its own slice."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        tensors, dim = self._parts(node)
        for i, n in enumerate(tensors):
            if w.active(n):
                yield n, f"{R}.select({w.source(dim)}, {i})"


class Mean(Op):
    """A mean or a sum over dimensions: relevance in proportion to the summands."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = w.argument(node, 0, "input")
        dims, keep = _reduced(w, node)
        args = f"a={w.var(a)}, z={w.var(node)}, R={R}, dims={dims}, keepdim={keep}"
        yield a, w.flow("averaged", args, node)

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return w.nonnegative(w.argument(node, 0, "input"))


class Largest(Mean):
    """A maximum over dimensions: the first largest entry takes all."""

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = w.argument(node, 0, "input")
        dims, keep = _reduced(w, node)
        yield a, f"largest(a={w.var(a)}, R={R}, dims={dims}, keepdim={keep})"


def _reduced(w: Writer, node: fx.Node) -> tuple[str, str]:
    dims = w.argument(node, 1, "dim", node.kwargs.get("axis"))
    if isinstance(dims, fx.Node):
        raise w.unsupported(node)
    return w.source(dims), w.source(w.argument(node, 2, "keepdim", False))


class Aside(Op):
    """Sizes and the like: computed, but no relevance belongs to them."""


def _keys(*keys: Any) -> tuple[Any, ...]:
    return keys


def _install() -> None:
    positive, keeps = Elementwise(positive=True), Elementwise(keeps=True)
    for kind in _keys(nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.Softplus, nn.Hardsigmoid):
        add(kind, positive)
    for f in _keys(F.relu, torch.relu, "relu", "relu_", F.relu6, F.sigmoid):
        add(f, positive)
    for f in _keys(torch.sigmoid, "sigmoid", F.softplus, F.hardsigmoid, torch.relu_):
        add(f, positive)
    for kind in _keys(
        *(nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
        *(nn.Mish, nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Softsign, nn.Identity),
        *(F.leaky_relu, F.prelu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish),
        *(F.tanh, F.hardtanh, F.hardswish, F.softsign, torch.tanh, "tanh"),
        *("contiguous", "clone", torch.clone, "to", "float", "double"),
    ):
        add(kind, keeps)
    for name in ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d"):
        add(getattr(nn, name), Dropout(keeps=True))
        add(getattr(F, name.lower()), Dropout(keeps=True))
    for f in _keys(nn.AlphaDropout, nn.FeatureAlphaDropout, F.alpha_dropout):
        add(f, Dropout())  # what it drops becomes negative
    for key in _keys(
        *(nn.Flatten, nn.Unflatten, torch.flatten, torch.reshape, torch.squeeze),
        *(torch.unsqueeze, "flatten", "reshape", "view", "squeeze", "unsqueeze"),
        *("unflatten", torch.unflatten),
    ):
        add(key, Reshape())
    for key in _keys(torch.permute, "permute"):
        add(key, Permute())
    for key in _keys(
        *(torch.transpose, "transpose", torch.movedim, "movedim", torch.swapaxes),
        *("swapaxes", "expand", "repeat", torch.roll, "roll", torch.flip, "flip"),
        *(torch.narrow, "narrow", torch.select, "select", torch.index_select),
        *("index_select", F.pixel_shuffle, F.pixel_unshuffle, F.channel_shuffle),
        *(nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, torch.swapdims),
        *(torch.repeat_interleave, "repeat_interleave", torch.t, "t"),
    ):
        add(key, Move())
    add(F.pad, Pad())
    for n in (1, 2, 3):
        for name in ("Zero", "Constant", "Reflection", "Replication", "Circular"):
            add(getattr(nn, f"{name}Pad{n}d"), Pad())
    for key in _keys(
        torch.chunk, "chunk", torch.split, "split", torch.unbind, "unbind"
    ):
        add(key, Pieces())
    add(operator.getitem, Item())
    add(getattr, Attribute())
    for key in _keys(operator.add, operator.iadd, torch.add, "add", "add_"):
        add(key, Add())
    for key in _keys(operator.sub, operator.isub, torch.sub, "sub", "sub_"):
        add(key, Add("-"))
    for key in _keys(operator.mul, operator.imul, torch.mul, "mul", "mul_"):
        add(key, Multiply())
    for key in _keys(operator.neg, torch.neg, "neg"):
        add(key, Negative())
    for key in _keys(operator.truediv, operator.itruediv, torch.div, "div", "div_"):
        add(key, Multiply())
    for key in _keys(operator.matmul, torch.matmul, "matmul"):
        add(key, MatMul())
    for key in _keys(torch.cat, torch.concat):
        add(key, Cat())
    add(torch.stack, Stack())
    for key in _keys(torch.mean, "mean", torch.sum, "sum"):
        add(key, Mean())
    for key in _keys(torch.amax, "amax", torch.max, "max"):
        add(key, Largest())
    for key in _keys("size", "dim", "numel", "ndimension", "new_zeros", len):
        add(key, Aside())


_install()
