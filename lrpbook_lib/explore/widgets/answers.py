"""Answers to a wish, many at a time: logits, relevance, and what they amount to.

Whatever an explorer asks of LRP it asks here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrpbook_lib.attribution import explainer, tumor_lrp_score
from lrpbook_lib.explore.levels import limit
from lrpbook_lib.explore.palette import regions
from lrpbook_lib.lrp import COMPOSITES, Composite
from lrpbook_lib.lrp.exports import Exportable


def named_composites(
    given: Sequence[str] | Mapping[str, Composite],
) -> dict[str, Composite]:
    """Composites by name."""
    if isinstance(given, str):
        given = (given,)
    if not given:
        raise ValueError("composites is empty: name at least one, ('epsilon-plus',)")
    if isinstance(given, Mapping):
        return dict(given)
    for name in given:
        if name not in COMPOSITES:
            known = ", ".join(COMPOSITES)
            raise ValueError(f"no composite {name!r}; there are {known}")
    return {name: COMPOSITES[name] for name in given}


def relevance_program(model: nn.Module, composite: Composite) -> Exportable:
    """What answers for a model, its stabilizer and gamma left to the reader."""
    return Exportable(explainer(model, composite, start="one"))


def live_knobs(program: Exportable) -> dict[str, bool]:
    """Which of the two sliders the rules of a program follow."""
    kinds = {type(rule).__name__ for rule in program.explainer.program_rules.values()}
    return {name: bool(kinds & set(of)) for name, of in program.knobs.items()}


@torch.no_grad()
def explain_batch(
    program: Exportable,
    x: Tensor,
    target: int,
    epsilon: float = 1e-6,
    gamma: float = 0.25,
) -> tuple[Tensor, Tensor]:
    """Logits (B, K) and relevance (B, C, H, W) of images; -1 is the predicted class."""
    like = next(program.parameters(), x)
    knobs = [like.new_tensor(value) for value in (epsilon, gamma)]
    batches = []
    for part in x.split(32):
        part = part.to(like.device, like.dtype)
        if target < 0:
            chosen = program.explainer.model(part).argmax(1)
        else:
            chosen = torch.full((len(part),), target, device=part.device)
        batches.append([t.float().cpu() for t in program(part, chosen, *knobs)])
    logits, relevance = zip(*batches, strict=True)
    return torch.cat(logits), torch.cat(relevance)


def precomputed(
    programs: Mapping[str, Exportable], images: Tensor, masks: Tensor, brains: Tensor
) -> tuple[np.ndarray, np.ndarray, list]:
    """What is stored for readers whose browser cannot compute.

    Returns
    -------
    logits : ndarray of shape (M, N, K)
        For each model, slice and class.
    maps : ndarray of shape (M, N, K, H, W)
        Relevance for that class, channels summed, at epsilon 1e-6 and gamma 0.25.
    told : nested list (M, N, K) of dict
        See :func:`numbers`.
    """
    logits, maps, told = [], [], []
    for name, program in programs.items():
        try:
            classes = explain_batch(program, images[:1], 0)[0].shape[1]
        except Exception as error:
            raise ValueError(
                f"model {name!r} cannot explain images of shape "
                f"{tuple(images.shape[1:])}: {error}"
            ) from error
        by_class = [explain_batch(program, images, k) for k in range(classes)]
        logits.append(by_class[0][0].numpy())
        maps.append(np.stack([R.sum(1).numpy() for _, R in by_class], 1))
        rows = [numbers(R, masks, brains) for _, R in by_class]
        told.append([list(row) for row in zip(*rows, strict=True)])
    if len({rows.shape for rows in logits}) > 1:
        raise ValueError("the models differ in their number of classes")
    return np.stack(logits), np.stack(maps), told


def numbers(relevance: Tensor, masks: Tensor, brains: Tensor) -> list[dict[str, Any]]:
    """For each slice what ``web/measure.js`` computes for the one at hand."""
    score = tumor_lrp_score(relevance, masks, brains)
    heat = relevance.sum(1)
    positive = heat.clamp(min=0) * ((masks > 0) | brains)
    total = positive.sum((1, 2)).clamp(min=1e-30)
    labels = [label for label, _ in regions(masks.numpy())]
    shares = [(positive * (masks == k)).sum((1, 2)) / total for k in (*labels, 0)]
    size = relevance.abs().sum((2, 3))
    sequences = size / size.sum(1, keepdim=True).clamp(min=1e-30)
    top = limit(heat.numpy()).ravel()
    return [
        {
            "score": round(float(score[n]), 4),
            "limit": float(f"{top[n]:.4g}"),
            "regions": [round(float(region[n]), 4) for region in shares],
            "sequences": [round(float(share), 4) for share in sequences[n]],
        }
        for n in range(len(relevance))
    ]
