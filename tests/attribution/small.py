"""Networks and explainers whose measures are known by hand."""

import torch
from torch import nn


class Linear(nn.Module):
    """Logits :math:`(w x, 0)` of images shaped like ``w``."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        said = (x * self.weight).flatten(1).sum(1)
        return torch.stack([said, torch.zeros_like(said)], 1)


class Says(nn.Module):
    """An explainer whose map is a function of the image, and of nothing else."""

    def __init__(self, model, say):
        super().__init__()
        self.model, self.say = model, say

    def forward(self, x, target=None):
        return self.model(x), self.say(x)


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))
