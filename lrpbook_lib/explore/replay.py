"""A training to scrub through: the heatmaps of a few slices, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.web import script, style
from lrpbook_lib.explore.widget import (
    PageWidget,
    as_array,
    check_same,
    gray_levels,
    levels,
    pack,
)


class TrainingReplay(PageWidget):
    """Heatmaps of the same slices at every epoch of one or several trainings.

    Drag the slider, press play, or use the arrow keys. Works without a kernel: the
    maps travel in 31 levels, about a quarter of a megabyte for two models, four slices
    of 64 x 64 and 20 epochs.

    Parameters
    ----------
    images : array of shape (n, C, H, W)
    masks : array of shape (n, H, W)
        Tumor: bool, or labels of which everything above zero counts.
    epochs : sequence of E int
        What the slider shows.
    models : mapping of str to mapping
        For each model ``relevance`` (E, n, H, W) or (E, n, C, H, W), of which channels
        are summed, and ``probability`` (E, n) of the true class: what
        :func:`~lrpbook_lib.training.read_snapshots` returns.
    names : sequence of n str, optional
        Of the slices.
    brains : array of shape (n, H, W), optional
        Where the score counts; by default where any channel is not zero.
    channel : int
        Which channel of the image lies under the heatmap.
    title : str

    Attributes
    ----------
    epoch : int
        Position on the slider, from 0; follows the reader, and may be set.

    Examples
    --------
    >>> TrainingReplay(images, masks, range(20), {"plain": snapshots})
    """

    _esm = script("replay")
    _css = style("replay")
    about = traitlets.Dict().tag(sync=True)
    images = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    heat = traitlets.Bytes().tag(sync=True)
    epoch = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        images: Any,
        masks: Any,
        epochs: Sequence[int],
        models: Mapping[str, Mapping[str, Any]],
        names: Sequence[str] | None = None,
        brains: Any = None,
        *,
        channel: int = 0,
        title: str = "Heatmaps in training (synthetic patients)",
    ) -> None:
        pictures = as_array(images, "images", "n, C, H, W")
        n, _, *space = pictures.shape
        mask = as_array(masks, "masks", "n, H, W") > 0
        brain = (
            (pictures != 0).any(1)
            if brains is None
            else as_array(brains, "brains", "n, H, W") > 0
        )
        names = [f"slice {i + 1}" for i in range(n)] if names is None else list(names)
        check_same({"images": (n, *space), "masks": mask.shape, "brains": brain.shape})
        if not models:
            raise ValueError("models is empty: name at least one training")
        if len(names) != n:
            raise ValueError(f"{len(names)} names for {n} slices")
        maps, probability = zip(
            *(
                _checked(name, run, len(epochs), n, space)
                for name, run in models.items()
            ),
            strict=True,
        )
        self._pictures, self._mask = gray_levels(pictures[:, channel]), mask
        self._maps = levels(np.stack(maps))
        scores, chance = _scores(maps, mask, brain)
        super().__init__(
            about={
                "title": title,
                "note": f"Each map on its own scale; {self._maps.shape[1]} epochs. "
                "Score: share of the brain's positive relevance that lies in the "
                "tumor.",
                "models": list(models),
                "slices": names,
                "epochs": [int(epoch) for epoch in epochs],
                "shape": [n, *space],
                "probability": _rounded(np.stack(probability)),
                "score": _rounded(scores),
                "chance": _rounded(chance),
            },
            images=pack(self._pictures),
            labels=pack(mask.astype(np.uint8)),
            heat=pack(self._maps),
            epoch=len(epochs) - 1,
        )

    def alt(self) -> str:
        """First and last epoch in numbers."""
        first, last = (
            ", ".join(
                f"{name} {np.mean(score[at]):.2f}"
                for name, score in zip(
                    self.about["models"], self.about["score"], strict=True
                )
            )
            for at in (0, -1)
        )
        epochs = self.about["epochs"]
        return (
            f"{self.about['title']}. Mean tumor score at epoch {epochs[0]}: {first}; "
            f"at epoch {epochs[-1]}: {last}; by chance "
            f"{np.mean(self.about['chance']):.2f}."
        )

    def figure(self) -> Figure:
        """The first slice at up to six epochs, a row a model."""
        from lrpbook_lib.explore.paper import overlay

        epochs = self.about["epochs"]
        chosen = np.unique(
            np.linspace(0, len(epochs) - 1, min(6, len(epochs))).astype(int)
        )
        rows = len(self.about["models"])
        fig = Figure(figsize=(1.6 * len(chosen), 1.8 * rows))
        axes = fig.subplots(rows, len(chosen), squeeze=False)
        for model, row in enumerate(axes):
            for at, axis in zip(chosen, row, strict=True):
                overlay(
                    axis, self._pictures[0], self._maps[model, at, 0], self._mask[0]
                )
                axis.set_title(f"epoch {epochs[at]}", fontsize=8)
            row[0].set_ylabel(self.about["models"][model], fontsize=9)
        fig.tight_layout(pad=0.3)
        return fig


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(float), 4).tolist()


def _checked(
    name: str, run: Mapping[str, Any], epochs: int, n: int, space: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    for key in ("relevance", "probability"):
        if key not in run:
            raise KeyError(f"models[{name!r}] lacks {key!r}; it has {', '.join(run)}")
    relevance = np.asarray(run["relevance"], dtype=np.float32)
    if relevance.ndim == 5:
        relevance = relevance.sum(2)
    relevance = as_array(relevance, f"relevance of {name}", "E, n, H, W")
    probability = as_array(run["probability"], f"probability of {name}", "E, n")
    wanted = {"relevance": (epochs, n, *space), "probability": (epochs, n)}
    for key, array in (("relevance", relevance), ("probability", probability)):
        if array.shape != wanted[key]:
            raise ValueError(
                f"{key} of {name} has shape {array.shape}; {epochs} epochs of these "
                f"images need {wanted[key]}"
            )
    return relevance, probability


def _scores(
    maps: Sequence[np.ndarray], mask: np.ndarray, brain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``(models, E, n)`` and chance levels ``(n,)``."""
    import torch

    from lrpbook_lib.attribution import (
        chance_level,
        tumor_lrp_score,
    )

    masks, brains = torch.from_numpy(mask), torch.from_numpy(brain)
    scores = [
        [
            tumor_lrp_score(torch.from_numpy(heat)[:, None], masks, brains)
            for heat in run
        ]
        for run in maps
    ]
    stacked = torch.stack([torch.stack(run) for run in scores])
    return stacked.numpy(), chance_level(masks, brains).numpy()
