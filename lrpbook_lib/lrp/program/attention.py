"""Scaled dot-product attention, opened to the products and the softmax inside."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from ..errors import LRPError

_TAKES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def open_attention(graph: fx.Graph) -> None:
    r"""Write :math:`\mathrm{softmax}(q k^\top / \sqrt{d} + m) \, v` out, in place.

    Raises
    ------
    LRPError
        For causal attention, dropout in a call, and groups of queries.
    """
    for node in list(graph.nodes):
        if node.target is F.scaled_dot_product_attention:
            given = dict(zip(_TAKES, node.args, strict=False)) | dict(node.kwargs)
            for key in ("dropout_p", "is_causal", "enable_gqa"):
                if given.get(key):
                    raise LRPError(
                        f"Attention at {node.name!r} has {key}={given[key]!r}; LRP "
                        "follows it without. Give a mask of numbers as attn_mask, and "
                        "use nn.Dropout."
                    )
            with graph.inserting_before(node):
                before = len(graph.nodes)
                opened = _opened(graph, **given)
            inside = list(graph.nodes)
            here = inside.index(node)
            for new in inside[here - (len(inside) - before) : here]:
                new.meta = dict(node.meta)
            node.replace_all_uses_with(opened)
            graph.erase_node(node)


def _opened(
    graph: fx.Graph,
    query: fx.Node,
    key: fx.Node,
    value: fx.Node,
    attn_mask: Any = None,
    scale: Any = None,
    **_: Any,
) -> fx.Node:
    if scale is None:
        width = graph.call_method("size", (query, -1))
        scale = graph.call_function(operator.pow, (width, -0.5))
    swapped = graph.call_method("transpose", (key, -2, -1))
    scores = graph.call_function(torch.matmul, (query, swapped))
    scores = graph.call_function(operator.mul, (scores, scale))
    if attn_mask is not None:
        scores = graph.call_function(torch.add, (scores, attn_mask))
    weights = graph.call_function(torch.softmax, (scores, -1))
    return graph.call_function(torch.matmul, (weights, value))
