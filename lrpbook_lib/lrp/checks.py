"""What is wrong with an input or a target, said before it fails deep inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
def check_trace(
    model: nn.Module, traced: Callable[..., Tensor], x: Tensor, training: bool = False
) -> None:
    """Refuse a program that computes something else than the model it was traced from.

    Both run once, on the first sample in evaluation form, or on two as the modules'
    modes say. A trace cannot see which way a branch on the kind of its input or on the
    mode of the model goes. The model and the generators of random numbers are left as
    they were.
    """
    x, why = x[: 2 if training else 1], ""
    with _untouched(model, x):
        if not training:
            model.eval()
        try:
            theirs = _seeded(model, x)
        except Exception:
            if training:
                return  # as batch norm over a single value
            raise
        try:
            ours = _seeded(lambda x: traced(model, x), x)
            if _alike(ours, theirs):
                return
        except Exception as error:
            why = f" ({error})"
        again = [_seeded(model, x, seed) for seed in ((1, 2) if training else (1,))]
        if not all(_alike(other, theirs) for other in again):
            return  # the model is random, too
    form = "training" if training else "evaluation"
    raise UntraceableModelError(
        f"The operations recorded from {type(model).__name__} give another output than "
        f"the model itself in {form} form{why}. Its forward pass branches on something "
        "that recording it changes, such as isinstance(x, Tensor) or self.training: "
        "move the branch out of the model, and make the explainer in evaluation mode."
    )


def _seeded(run: Callable[[Tensor], Any], x: Tensor, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return run(x)


@contextmanager
def _untouched(model: nn.Module, x: Tensor) -> Iterator[None]:
    """Modes, buffers and random numbers are afterwards what they were."""
    modules = list(model.modules())
    before = [(m, m.training, dict(m._buffers)) for m in modules]
    for module in modules:  # other tensors: a graph may hold on to the real ones
        for name, value in module._buffers.items():
            module._buffers[name] = None if value is None else value.clone()
    devices = [x.device] if x.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        for module, mode, buffers in before:
            module.training = mode
            module._buffers.update(buffers)


def _alike(z: Any, other: Any) -> bool:
    both = isinstance(z, Tensor) and isinstance(other, Tensor)
    if not both or z.shape != other.shape:
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
