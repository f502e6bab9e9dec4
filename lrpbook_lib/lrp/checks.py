"""What is wrong with an input or a target, said before it fails deep inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .errors import LRPError, UntraceableModelError


def check_input(x: Tensor, model: nn.Module) -> None:
    """Refuse an input that the model cannot take, or whose relevance would be NaN."""
    if not isinstance(x, Tensor):
        raise LRPError(f"x is a {type(x).__name__}; it must be a tensor.")
    if not x.is_floating_point():
        raise LRPError(
            f"x has dtype {x.dtype}; relevance needs floating point: x.float()."
        )
    if x.ndim < 2:
        raise LRPError(
            f"x has shape {tuple(x.shape)}; it needs a batch dimension: x[None]."
        )
    devices = sorted({str(p.device) for p in model.parameters()})
    if len(devices) > 1:
        raise LRPError(
            f"The model lies on several devices ({', '.join(devices)}); LRP "
            "walks back on one: model.to(device)."
        )
    if devices and devices != [str(x.device)]:
        raise LRPError(
            f"x is on {x.device} and the model on {devices[0]}; move one: "
            f"x.to({devices[0]!r})."
        )
    dtypes = sorted({str(p.dtype) for p in model.parameters()})
    autocast = torch.is_autocast_enabled(x.device.type)
    if len(dtypes) > 1 and not autocast:
        raise LRPError(
            f"The model mixes {' and '.join(dtypes)}; bring it to one, e.g. "
            "with model.float(), or use autocast."
        )
    if dtypes and str(x.dtype) not in dtypes and not autocast:
        raise LRPError(
            f"x has dtype {x.dtype} and the model {dtypes[0]}; convert one: "
            f"x.to({dtypes[0]})."
        )
    if not bool(torch.isfinite(x).all()):
        bad = (~torch.isfinite(x)).flatten(1).any(1).nonzero().flatten().tolist()
        raise LRPError(
            f"x holds NaN or infinity in sample(s) {bad[:8]}; relevance of these "
            "would be NaN everywhere. Clean the input, e.g. torch.nan_to_num(x)."
        )


@torch.no_grad()
def check_trace(model: nn.Module, traced: Callable[..., Tensor], x: Tensor) -> None:
    """Refuse a program that computes something else than the model it was traced from.

    Both run once, in evaluation form, on the first sample. A trace cannot see which way
    a branch on the kind of its input or on the mode of the model goes.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        ours, theirs = traced(model, x[:1]), model(x[:1])
        if _alike(ours, theirs) or not _alike(model(x[:1]), theirs):
            return  # or the model is random in evaluation, too
    finally:
        for module, mode in modes.items():
            module.training = mode
    raise UntraceableModelError(
        f"The operations recorded from {type(model).__name__} give another output than "
        "the model itself. Its forward pass branches on something that recording it "
        "changes, such as isinstance(x, Tensor) or self.training: move the branch out "
        "of the model, and make the explainer in evaluation mode."
    )


def _alike(z: Tensor, other: Any) -> bool:
    if not isinstance(other, Tensor) or z.shape != other.shape:
        return False
    if not z.is_floating_point():
        return True
    tolerance = 10 * torch.finfo(z.dtype).eps ** 0.5
    size = other[other.isfinite()].abs().amax() if other.isfinite().any() else 0.0
    return torch.allclose(z, other, 0, float(size) * tolerance, equal_nan=True)


def check_target(target: Tensor | int | None, shape: torch.Size) -> None:
    """Refuse a target that does not fit an output of this shape."""
    if target is None or (isinstance(target, Tensor) and target.is_floating_point()):
        return
    classes = shape[1] if len(shape) > 1 else 0
    if isinstance(target, Tensor):
        if target.dtype == torch.bool or target.is_complex():
            raise LRPError(
                f"target has dtype {target.dtype}; it takes class indices (integers) "
                "or a start relevance (floating point)."
            )
        fits = target.ndim == 0 or tuple(target.shape) in (
            (shape[0],),
            (shape[0], *shape[2:]),
        )
        if not fits:
            raise LRPError(
                f"target has shape {tuple(target.shape)}; class indices for a batch of "
                f"{shape[0]} have shape ({shape[0]},)."
            )
        if target.numel() == 0:
            return
        low, high = int(target.min()), int(target.max())
    elif isinstance(target, int) and not isinstance(target, bool):
        low = high = target
    else:
        raise LRPError(
            f"target is {target!r}; it takes None, an index, class indices (B,), or a "
            "start relevance shaped like the output."
        )
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise LRPError(
            f"target {wrong} is out of range: the output has {classes} classes, "
            f"0 to {classes - 1}."
        )
