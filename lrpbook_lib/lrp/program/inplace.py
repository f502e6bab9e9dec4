"""Operations that write over their input, which a program never does."""

from __future__ import annotations

import inspect
import operator
from typing import Any

from torch import fx

from ..errors import LRPError
from .trace import Trace

_INFIX = (operator.iadd, operator.isub, operator.imul, operator.itruediv)


def check_in_place(trace: Trace) -> None:
    """Refuse a model that needs a value again after writing over it.

    The program keeps every value, so that it would compute something else.
    """
    order = {node: i for i, node in enumerate(trace.graph.nodes)}
    for node, step in trace.steps.items():
        if node.target is operator.setitem:
            raise LRPError(
                f"The model assigns into a tensor ({node.name!r}, in module "
                f"{step.owner or 'the model itself'!r}); write it with "
                "torch.cat, torch.where or padding, so that the value has a name."
            )
        if not node.all_input_nodes or not _writes(node, step.module):
            continue
        source = node.all_input_nodes[0]
        later = [user for user in source.users if order[user] > order[node]]
        if later or not node.users:
            raise LRPError(
                f"{node.name!r} changes its input in place, and that input is used "
                f"again afterwards. Use the result instead (x = F.relu(x)) or drop "
                "inplace=True."
            )


def _writes(node: fx.Node, module: Any) -> bool:
    if module is not None:
        return bool(getattr(module, "inplace", False))
    return (
        in_place_name(node)
        or node.target in _INFIX
        or bool(node.kwargs.get("inplace", False))
        or in_place_flag(node) is not None
    )


def in_place_name(node: fx.Node) -> bool:
    """Whether a function or method is one of those that end in an underscore."""
    target: Any = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    return name.endswith("_") and not name.endswith("__")


def in_place_flag(node: fx.Node) -> int | None:
    """Position of an ``inplace=True`` that was given without its name."""
    target: Any = node.target
    if node.op != "call_function" or not any(v is True for v in node.args):
        return None
    try:
        i = list(inspect.signature(target).parameters).index("inplace")
    except (TypeError, ValueError):  # no signature, or no such parameter
        return None
    return i if i < len(node.args) and node.args[i] is True else None
