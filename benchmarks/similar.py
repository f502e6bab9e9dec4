"""Similar cases: how long a query takes, and its pictures, on the paper's network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from lrpbook_lib.models import GliomaCNN
from lrpbook_lib.similar import SimilarCases, block_similarity
from lrpbook_lib.similar.search import LayerIndex

LAYERS = ("features.6", "features.12", "classifier.2")

#: What, and how many milliseconds it may take.
LIMITS = {
    "BiLRP of a query and five neighbors, three layers": 2000,
    "one query alone, three layers": 10,
    "one query of 32, three layers": 10,
    "search among 100,000 slices, one layer, one query of 32": 10,
}


class Noise:
    """Slices of noise, made when they are asked for; ten a patient."""

    classes = ("LGG", "HGG")

    def __init__(self, slices: int, size: int, first: int = 0) -> None:
        number = first + np.arange(slices) // 10
        self.size, self.labels, self.z = size, number % 2, np.zeros(slices, int)
        self.patient = self.case = np.char.add("P", number.astype(str))
        self.site = np.char.add("S", (number % 7).astype(str))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(i)
        return {"image": torch.rand(3, self.size, self.size, generator=generator)}


def tasks(
    size: int = 112, atlas: int = 2000, many: int = 100_000
) -> dict[str, tuple[Callable[[], object], int]]:
    """What is timed, and how many queries one call answers, by name."""
    torch.manual_seed(0)
    model = GliomaCNN(size=size).eval()
    slices = Noise(atlas, size)
    cases = SimilarCases(model, LAYERS).fit(slices, Noise(50, size, first=atlas))
    across = torch.linspace(-1, 1, size)
    brain = (across[:, None] / 0.9) ** 2 + (across / 0.75) ** 2 < 1  # black around it
    images = torch.rand(32, 3, size, size) * brain
    others = torch.rand(5, 3, size, size) * brain
    rng = np.random.default_rng(0)
    columns = rng.standard_normal((many, 256), dtype=np.float32)
    index = LayerIndex.fit(columns, "cosine", "noise")
    patient = np.char.add("P", (np.arange(many) // 10).astype(str))
    asked = columns[:32] + 1

    def pictures() -> None:
        for explainer in cases.explainers.values():
            block_similarity(explainer, images[0], others)

    found = (
        (pictures, 1),
        (lambda: cases.query(images[:1]), 1),
        (lambda: cases.query(images), 32),
        (lambda: index.nearest(asked, 5, patient, patient[:32]), 32),
    )
    return dict(zip(LIMITS, found, strict=True))
