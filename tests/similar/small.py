"""A small network and small cohorts whose neighbors can be worked out by hand."""

import numpy as np
import torch
from torch import nn

from lrpbook_lib.data import SliceSet


class SmallNet(nn.Module):
    """One convolution and one hidden layer, for images of 2 x 8 x 8."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5)
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(96, 12), nn.ReLU(), nn.Linear(12, 2)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


LAYERS = ["features.2", "classifier.2"]


def small_net(seed=0):
    torch.manual_seed(seed)
    return SmallNet().eval()


def cohort(patients=12, slices=3, seed=0, classes=2, first=0):
    """Slices of patients P00, P01, ...; grades alternate, sites come in fours."""
    rng = np.random.default_rng(seed)
    number = np.repeat(np.arange(first, first + patients), slices)
    count = len(number)
    tumor = np.zeros((count, 8, 8), np.uint8)
    tumor[:, 2:5, 3:6] = 1
    brain = np.zeros((count, 8, 8), bool)
    brain[:, 1:7] = True
    images = rng.random((count, 2, 8, 8)).astype("f4") * brain[:, None]
    return SliceSet.from_arrays(
        images,
        number % classes,
        tumor,
        brain,
        [f"P{n:02d}" for n in number],
        ["ABCD"[n % 4] for n in number],
    )
