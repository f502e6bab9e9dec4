"""Layers that a rule applies to: affine layers, normalizations, pooling, resampling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from .errors import LRPError
from .registry import Op, add
from .rules import Pass

if TYPE_CHECKING:
    from .analysis import Analysis
    from .transform import Writer

Sends = Iterable[tuple[fx.Node, str]]


class RuleOp(Op):
    """An operation whose relevance is redistributed by the rule it is assigned."""

    def layer(self, w: Writer, node: fx.Node) -> str:
        """The expression for the affine layer that the rule sees."""
        return w.path(str(node.target))

    def operand(self, w: Analysis, node: fx.Node) -> fx.Node:
        """The input that relevance goes to."""
        return w.argument(node, 0, "input")

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = self.operand(w, node)
        if isinstance(w.rules[node], Pass):
            yield a, R
        else:
            yield a, w.apply(w.rule(node), self.layer(w, node), a, node, R)


class AffineModule(RuleOp):
    """nn.Linear and the convolutions."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class AffineCall(RuleOp):
    """F.linear, F.conv2d and their kin: weight and bias are arguments of the call."""

    def __init__(self, kind: str, view: str, names: tuple[str, ...]) -> None:
        self.kind, self.view, self.names = kind, view, names

    def layer(self, w: Writer, node: fx.Node) -> str:
        given = dict(zip(("input", *self.names), node.args, strict=False))
        given.update(node.kwargs)
        if w.active(given["weight"]):
            raise LRPError(
                f"The weight of {w.name(node)!r} depends on the input. LRP treats "
                "weights as given; compute them from parameters only."
            )
        settings = [
            f"{k}={w.source(given[k])}"
            for k in self.names
            if k in given and given[k] is not None
        ]
        return f"{self.view}({', '.join(settings)})"


class BatchNorm(RuleOp):
    """Folded into the layer in front of it, or on its own where there is none."""

    kind = "norm"

    def view(self, w: Writer, node: fx.Node) -> str:
        """The expression for the module."""
        return w.path(str(node.target))

    def batch(self, w: Writer, node: fx.Node) -> str:
        """Whether statistics are those of the batch (only where dropout is on too)."""
        return f", batch={self.view(w, node)}.training" if w.live else ""

    def forward(self, w: Writer, node: fx.Node) -> str:
        if w.live:
            return f"{w.var(node)} = {w.call(node)}"
        h = w.var(self.operand(w, node))
        return f"{w.var(node)} = evaluated({self.view(w, node)}, {h})"

    def layer(self, w: Writer, node: fx.Node) -> str:
        h = w.var(self.operand(w, node))
        return f"normalization({self.view(w, node)}, {h}{self.batch(w, node)})"

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        before = w.folds(node)
        if before is None:
            yield from super().backward(w, node, R)
            return
        op = w.op(before)
        h = w.var(before)
        assert isinstance(op, RuleOp)
        layer = op.layer(w, before)
        layer = f"fold({layer}, {self.view(w, node)}, {h}{self.batch(w, node)})"
        a = op.operand(w, before)
        yield a, w.apply(w.rule(before), layer, a, node, R, owner=before)


class BatchNormCall(BatchNorm):
    """F.batch_norm, with its statistics and parameters as arguments."""

    names = ("running_mean", "running_var", "weight", "bias")

    def view(self, w: Writer, node: fx.Node) -> str:
        given = dict(zip(("input", *self.names), node.args, strict=False))
        given.update(node.kwargs)
        shown = [f"{k}={w.source(given.get(k))}" for k in self.names]
        eps = w.argument(node, 7, "eps", 1e-5)
        return f"norm_of({', '.join(shown)}, eps={w.source(eps)})"

    def batch(self, w: Writer, node: fx.Node) -> str:
        if not w.live:
            return ""
        return f", batch={w.mode(node, w.argument(node, 5, 'training', False))}"


class InstanceNorm(RuleOp):
    """Statistics of each sample, taken as given; the rule is Pass unless told."""

    kind = "norm"

    def layer(self, w: Writer, node: fx.Node) -> str:
        h = w.var(self.operand(w, node))
        return f"instance({w.path(str(node.target))}, {h})"


class OtherNorm(RuleOp):
    """Layer and group norm: relevance passes."""

    kind = "norm"

    def layer(self, w: Writer, node: fx.Node) -> str:
        raise LRPError(
            f"{w.name(node)!r} is a normalization that only the rule Pass is defined "
            f"for; the composite gives it {w.rules[node]!r}. Use norm=Pass()."
        )


class Averaging(RuleOp):
    """Average pooling and upsampling: linear, no parameters, no negative weights."""

    kind = "pool"

    def layer(self, w: Writer, node: fx.Node) -> str:
        a = self.operand(w, node)
        if node.op == "call_module":
            return f"fixed({w.path(str(node.target))}, {w.var(a)})"
        return f"fixed(lambda h: {w.call(node, {a: 'h'})}, {w.var(a)})"

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        mode = str(w.setting(node, "mode", "nearest"))
        return mode != "bicubic" and w.nonnegative(self.operand(w, node))


class MaxPool(Op):
    """Max pooling: the winner takes all."""

    settings: tuple[str, ...] = (
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "ceil_mode",
    )
    run = "max_pool"

    def _settings(self, w: Writer, node: fx.Node) -> str:
        defaults = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
        shown = []
        for i, key in enumerate(self.settings, start=1):
            if node.op == "call_module":
                value = getattr(w.trace.module(node), key)
            else:
                value = w.argument(node, i, key, defaults.get(key))
            if key not in defaults or value != defaults[key]:
                shown.append(f"{key}={w.source(value)}")
        return ", ".join(shown)

    def _operand(self, w: Analysis, node: fx.Node) -> fx.Node:
        return w.argument(node, 0, "input")

    def forward(self, w: Writer, node: fx.Node) -> str:
        if w.setting(node, "return_indices", False):
            raise LRPError(
                f"{w.name(node)!r} returns the indices of its winners; relevance keeps "
                "its own. Leave return_indices out."
            )
        a, v = w.var(self._operand(w, node)), w.var(node)
        settings = self._settings(w, node)
        return f"{v}, {v}_winners = {self.run}({a}, {settings})"

    def backward(self, w: Writer, node: fx.Node, R: str) -> Sends:
        a = self._operand(w, node)
        settings = f", {self._settings(w, node)}" if self.run == "max_pool" else ""
        call = f"winners(a={w.var(a)}, R={R}, indices={w.var(node)}_winners{settings})"
        yield a, call

    def nonnegative(self, w: Analysis, node: fx.Node) -> bool:
        return w.nonnegative(self._operand(w, node))


class AdaptiveMaxPool(MaxPool):
    """Adaptive (and so global) max pooling."""

    settings = ("output_size",)
    run = "adaptive_max_pool"


def _install() -> None:
    dense = AffineModule("dense")
    convolution = AffineModule("conv")
    add(nn.Linear, dense)
    for n in (1, 2, 3):
        add(getattr(nn, f"Conv{n}d"), convolution)
        add(getattr(nn, f"ConvTranspose{n}d"), convolution)
        add(
            getattr(F, f"conv{n}d"),
            AffineCall(
                "conv",
                "conv",
                ("weight", "bias", "stride", "padding", "dilation", "groups"),
            ),
        )
        transposed = AffineCall(
            "conv",
            "conv_transposed",
            (
                "weight",
                "bias",
                "stride",
                "padding",
                "output_padding",
                "groups",
                "dilation",
            ),
        )
        add(getattr(F, f"conv_transpose{n}d"), transposed)
        add(getattr(nn, f"BatchNorm{n}d"), BatchNorm())
        add(getattr(nn, f"InstanceNorm{n}d"), InstanceNorm())
        add(getattr(nn, f"AvgPool{n}d"), Averaging())
        add(getattr(nn, f"AdaptiveAvgPool{n}d"), Averaging())
        add(getattr(F, f"avg_pool{n}d"), Averaging())
        add(getattr(F, f"adaptive_avg_pool{n}d"), Averaging())
        add(getattr(nn, f"MaxPool{n}d"), MaxPool())
        add(getattr(nn, f"AdaptiveMaxPool{n}d"), AdaptiveMaxPool())
        add(getattr(F, f"max_pool{n}d"), MaxPool())
        add(getattr(F, f"adaptive_max_pool{n}d"), AdaptiveMaxPool())
        add(getattr(torch, f"max_pool{n}d"), MaxPool())
    add(F.linear, AffineCall("dense", "Dense", ("weight", "bias")))
    add(F.batch_norm, BatchNormCall())
    add(nn.Upsample, Averaging())
    add(F.interpolate, Averaging())
    for kind in (nn.LayerNorm, nn.GroupNorm, F.layer_norm, F.group_norm):
        add(kind, OtherNorm())
    add(F.instance_norm, OtherNorm())


_install()


def is_affine(op: Any) -> bool:
    """Whether batch norm behind this operation can be folded into it."""
    return isinstance(op, AffineModule | AffineCall)
