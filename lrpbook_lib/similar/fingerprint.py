"""A name for a model as it is now, so that a change does not go unnoticed."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


class ModelChangedError(ValueError):
    """A model that is not the one the neighbors were fitted with."""


def fingerprint(model: nn.Module) -> str:
    """Sixteen hexadecimal digits that name layers, weights and buffers.

    The same on every device; training mode and gradients make no difference.
    """
    known = hashlib.blake2b(repr(model).encode(), digest_size=8)
    for name, tensor in model.state_dict().items():
        known.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        content = tensor.detach().cpu().contiguous().flatten()
        known.update(content.view(torch.uint8).numpy().data)
    return known.hexdigest()
