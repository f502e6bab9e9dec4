"""From one run of a model to the list of its operations, where fx cannot trace.

A model that looks at shapes and types, or calls a library such as einops, runs here on
real tensors; what it calls is written down under the names that ``torch.fx`` uses. Two
runs with different numbers of samples tell which numbers are the batch size.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..errors import UntraceableModelError
from .rows import Op, find, kept_whole

Outputs = dict[str, list[fx.Node]]

#: What asks for the values of a tensor, which another input answers otherwise.
_LOOKS = {"__bool__", "__int__", "__float__", "__index__", "item", "tolist", "nonzero"}
_LOOKS |= {"equal", "allclose", "is_nonzero", "numpy", "__array__", "__contains__"}
_OWN_CALL = nn.Module.__call__
#: Of two runs. What is worked out from the one seldom comes to the same from the other.
_SAMPLES = (2, 5)


class _Recorder(TorchFunctionMode):
    """Writes down what runs, and in which module."""

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.graph, self.outputs = fx.Graph(), Outputs()
        self.paths = {module: path for path, module in model.named_modules()}
        self.weights = {
            id(t): path
            for found in (model.named_parameters(), model.named_buffers())
            for path, t in found
        }
        self.inside: list[str] = []
        self.quiet = False
        self.kept: list[Tensor] = []  # alive, so that none takes another's address
        self.known: dict[Any, fx.Node] = {}
        self.active: set[fx.Node] = set()
        node = self.graph.placeholder("x")
        self.active.add(node)
        self.keep(x, node)

    def keep(self, t: Tensor, node: fx.Node) -> None:
        """Remember which node a tensor is the output of."""
        self.kept.append(t)
        self.known[id(t)] = self.known[_place(t)] = node

    def name(self, value: Any) -> Any:
        """A value with nodes for its tensors."""
        if isinstance(value, tuple | list):
            named = [self.name(v) for v in value]
            return tuple(named) if isinstance(value, tuple) else named
        if isinstance(value, dict):
            return {k: self.name(v) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(*map(self.name, (value.start, value.stop, value.step)))
        if not isinstance(value, Tensor):
            return value.node if isinstance(value, _As) else value
        if id(value) in self.weights and id(value) not in self.known:
            self.keep(value, self.graph.get_attr(self.weights[id(value)]))
        node = self.known.get(id(value), self.known.get(_place(value)))
        if node is None:
            raise UntraceableModelError(
                f"A tensor of shape {tuple(value.shape)} in module "
                f"{(self.inside or [''])[-1] or 'the model itself'!r} is neither a "
                "parameter nor a buffer, nor made by a recorded operation. Keep it "
                "with self.register_buffer(...)."
            )
        return node

    def note(self, kind: str, target: Any, args: Any, kwargs: Any, out: Any) -> Any:
        """Write down one operation."""
        args, kwargs = self.name(tuple(args)), self.name(kwargs)
        node = self.graph.create_node(kind, target, args, kwargs)
        node.meta["nn_module_stack"] = {path: (path, None) for path in self.inside}
        if not self.active.isdisjoint(node.all_input_nodes):
            self.active.add(node)
        parts = out if isinstance(out, tuple | list) else ()
        if isinstance(out, Tensor):
            self.keep(out, node)
        for i, part in enumerate(parts):
            if isinstance(part, Tensor):
                self.note("call_function", operator.getitem, (_As(node), i), {}, part)
        return out

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if self.quiet:
            return out
        name = getattr(func, "__name__", "")
        if name == "__setitem__":
            raise UntraceableModelError(
                "The model assigns into a tensor, in module "
                f"{(self.inside or [''])[-1] or 'the model itself'!r}; write it with "
                "torch.cat, torch.where or padding, so that the value has a name."
            )
        if name in _LOOKS and self.name(args[0]) in self.active:
            raise UntraceableModelError(
                f"The model looks at values of its input ({name.strip('_')}, in module "
                f"{(self.inside or [''])[-1] or 'the model itself'!r}), and another "
                "input would take another way. Turn the `if` or loop into torch.where."
            )
        tensors = out if isinstance(out, tuple | list) else (out,)
        if type(out) is torch.Size or not any(isinstance(t, Tensor) for t in tensors):
            return out
        kind, target, args = _spelled(func, name, args)
        return self.note(kind, target, args, kwargs, out)

    def call(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Run a module: a layer as a whole, another one opened."""
        path = self.paths.get(module)
        if self.quiet or path is None:
            return _OWN_CALL(module, *args, **kwargs)
        if isinstance(module, nn.MultiheadAttention):
            out = self.opened(path, lambda: _attention(module, *args, **kwargs))
        elif _whole(module):
            self.quiet = True
            try:
                out = _OWN_CALL(module, *args, **kwargs)
            finally:
                self.quiet = False
            return self.note("call_module", path, args, kwargs, out)
        else:
            out = self.opened(path, lambda: _OWN_CALL(module, *args, **kwargs))
        if isinstance(out, Tensor):
            self.outputs.setdefault(path, []).append(self.name(out))
        return out

    def opened(self, path: str, run: Callable[[], Any]) -> Any:
        """Run the inside of a module."""
        self.inside.append(path)
        try:
            return run()
        finally:
            self.inside.pop()


class _As:
    """Stands for a node among values."""

    def __init__(self, node: fx.Node) -> None:
        self.node = node


def _place(t: Tensor) -> Any:
    return t.data_ptr(), tuple(t.shape), t.stride(), t.dtype


def _whole(module: nn.Module) -> bool:
    kind = type(module)
    return kept_whole(kind) or (
        kind.__module__.startswith("torch.nn") and find(kind) != Op()
    )


def _spelled(func: Any, name: str, args: Any) -> tuple[str, Any, Any]:
    """A call as ``torch.fx`` writes it."""
    if name == "__get__":
        return "call_function", getattr, (args[0], func.__self__.__name__)
    if getattr(torch.Tensor, name, None) is not func:
        return "call_function", func, args
    if name.startswith("__"):
        plain = name.strip("_")
        if hasattr(operator, plain):
            return "call_function", getattr(operator, plain), args
        if plain[0] == "r" and hasattr(operator, plain[1:]):
            return "call_function", getattr(operator, plain[1:]), args[::-1]
    # An operator of Python may come by the name of its method.
    reverse = {"rsub": operator.sub, "rdiv": operator.truediv}.get(name.strip("_"))
    if reverse is not None:
        return "call_function", reverse, args[::-1]
    return "call_method", name, args


def _attention(
    self: nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What ``nn.MultiheadAttention`` computes, in operations that can be followed."""
    plain = self.in_proj_weight is not None and self.bias_k is None
    if not plain or self.add_zero_attn or key_padding_mask is not None:
        raise UntraceableModelError(
            "nn.MultiheadAttention is followed with equal sizes of query, key and "
            "value, without padding masks, bias_kv and zero attention."
        )
    if not self.batch_first:
        query, key, value = (t.transpose(0, 1) for t in (query, key, value))
    width, heads = self.embed_dim, []
    for i, t in enumerate((query, key, value)):
        part = slice(i * width, (i + 1) * width)
        bias = None if self.in_proj_bias is None else self.in_proj_bias[part]
        h = F.linear(t, self.in_proj_weight[part], bias)
        h = h.reshape(h.shape[0], h.shape[1], self.num_heads, self.head_dim)
        heads.append(h.transpose(1, 2))
    q, k, v = heads
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask)
    out = self.out_proj(out.transpose(1, 2).flatten(2))
    return (out if self.batch_first else out.transpose(0, 1)), None


@contextmanager
def _evaluated(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _run(model: nn.Module, x: Tensor) -> _Recorder:
    recorder = _Recorder(model, x)

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return recorder.call(module, *args, **kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        with recorder:
            out = model(x)
    finally:
        nn.Module.__call__ = _OWN_CALL  # type: ignore[method-assign]
    recorder.graph.output(recorder.name(out))
    return recorder


@torch.no_grad()
def record(model: nn.Module, x: Tensor) -> tuple[fx.Graph, Outputs]:
    """Run a model in evaluation form, and write down what it does.

    Parameters
    ----------
    model : nn.Module
    x : Tensor of shape ``(B, *in)``
        An input; its first sample is used.

    Returns
    -------
    graph : fx.Graph
        For inputs of this shape, with any number of samples.
    outputs : dict of str to list of fx.Node
        The output of each module that was opened.

    Raises
    ------
    UntraceableModelError
        Where the model looks at values of its input, or does something else for
        another number of samples.
    """
    with _evaluated(model):
        few, more = (
            _run(model, x[:1].expand(n, *x.shape[1:]).contiguous()) for n in _SAMPLES
        )
    nodes = list(few.graph.nodes)
    others = list(more.graph.nodes)
    if [(n.op, str(n.target)) for n in nodes] != [
        (n.op, str(n.target)) for n in others
    ]:
        raise _by_batch(model)
    names = {b: a.name for a, b in zip(nodes, others, strict=True)}
    first, size = nodes[0], None
    for node, other in zip(nodes, others, strict=True):

        def free(a: Any, b: Any, node: fx.Node = node) -> Any:
            nonlocal size
            if isinstance(a, tuple | list):
                if len(a) != len(b):
                    raise _by_batch(model)
                freed = [free(*pair) for pair in zip(a, b, strict=True)]
                return tuple(freed) if isinstance(a, tuple) else freed
            if isinstance(a, slice):
                keys = ("start", "stop", "step")
                return slice(*(free(getattr(a, k), getattr(b, k)) for k in keys))
            if isinstance(a, fx.Node):
                if a.name != names[b]:
                    raise _by_batch(model)
                return a
            if a == b:
                return a
            times, rest = (0, 1) if type(a) is not int else divmod(a, _SAMPLES[0])
            if rest or b != times * _SAMPLES[1]:
                raise _by_batch(model)
            if size is None:
                with few.graph.inserting_after(first):
                    size = few.graph.call_method("size", (first, 0))
            if times == 1:
                return size
            with few.graph.inserting_before(node):
                return few.graph.call_function(operator.mul, (size, times))

        node.args = free(node.args, other.args)
        node.kwargs = {k: free(v, other.kwargs[k]) for k, v in node.kwargs.items()}
    return few.graph, few.outputs


def _by_batch(model: nn.Module) -> UntraceableModelError:
    return UntraceableModelError(
        f"{type(model).__name__} runs other operations for 2 samples than for 5; "
        "LRP needs the same for every batch."
    )
