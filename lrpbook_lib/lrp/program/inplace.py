"""Operations that write over their input, which a program never does."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from ..errors import LRPError

_INFIX = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
}


def settle(graph: fx.Graph, model: nn.Module) -> None:
    """Turn what is written in place into calls that leave their input alone.

    Raises
    ------
    LRPError
        Where a value is used again after it was written over: the program keeps every
        value, so it would compute something else.
    """
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.target is operator.setitem:
            raise LRPError(
                f"The model assigns into a tensor ({node.name!r}, in module "
                f"{owner(node) or 'the model itself'!r}); write it with "
                "torch.cat, torch.where or padding, so that the value has a name."
            )
        if not node.all_input_nodes or not _settled(node, model):
            continue
        source = node.all_input_nodes[0]
        later = [user for user in source.users if order[user] > order[node]]
        if later or not node.users:
            raise LRPError(
                f"{node.name!r} changes its input in place, and that input is used "
                f"again afterwards. Use the result instead (x = F.relu(x)) or drop "
                "inplace=True."
            )


def owner(node: fx.Node) -> str:
    """The path of the module whose forward runs a node."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] if isinstance(entry, tuple) else "" for entry in stack.values()]
    return paths[-1] if paths else ""


def _settled(node: fx.Node, model: nn.Module) -> bool:
    """Rewrite a call that is in place; whether it was."""
    target: Any = node.target
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(target), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    plain = _plain(target)
    flag = bool(node.kwargs.get("inplace", False))
    node.kwargs = {k: v for k, v in node.kwargs.items() if k != "inplace"}
    node.target = plain
    return flag or plain is not target


def _plain(target: Any) -> Any:
    """The same operation, not in place."""
    if target in _INFIX:
        return _INFIX[target]
    name = target if isinstance(target, str) else getattr(target, "__name__", "")
    if not name.endswith("_") or name.endswith("__"):
        return target
    if isinstance(target, str):
        return name[:-1]
    homes = [home for home in (torch, F) if getattr(home, name, None) is target]
    return next((getattr(home, name[:-1], target) for home in homes), target)
