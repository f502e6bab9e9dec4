"""A training to scrub through: the heatmaps of a few slices, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.levels import gray_levels, levels, of_levels, plain
from lrpbook_lib.explore.palette import OUTLINE
from lrpbook_lib.explore.widgets.given import arrays
from lrpbook_lib.explore.widgets.page import PageWidget, pack
from lrpbook_lib.explore.widgets.web import script, style


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
    epochs : sequence of E int or str
        What the slider shows: epochs, or names of whatever it moves through.
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
    counted : str
        What the slider counts: of one training its epochs, of several trainings
        whatever tells them apart, such as "guidance begins at epoch" or "explainer".

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
    images = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    heat = traitlets.Bytes().tag(sync=True)
    epoch = traitlets.Int(0).tag(sync=True)

    def __init__(
        self,
        images: Any,
        masks: Any,
        epochs: Sequence[int] | Sequence[str],
        models: Mapping[str, Mapping[str, Any]],
        names: Sequence[str] | None = None,
        brains: Any = None,
        *,
        channel: int = 0,
        title: str = "Heatmaps in training (synthetic patients)",
        counted: str = "epoch",
    ) -> None:
        if not models:
            raise ValueError("models is empty: name at least one training")
        pictures, masks = plain(images), plain(masks)
        given = {
            "images": (pictures, "n, C, H, W"),
            "masks": (masks, "n, H, W"),
            "brains": ((pictures != 0).any(1) if brains is None else brains, "n, H, W"),
            "epochs": (list(epochs), "E"),
        }
        if names is not None:
            given["names"] = (list(names), "n")
        for name, run in models.items():
            for key in ("relevance", "probability"):
                if key not in run:
                    told = ", ".join(run)
                    raise KeyError(f"models[{name!r}] lacks {key!r}; it has {told}")
            heat = plain(run["relevance"]).astype(np.float32)
            heat = heat.sum(2) if heat.ndim == 5 else heat
            given[f"relevance of {name}"] = (heat, "E, n, H, W")
            given[f"probability of {name}"] = (run["probability"], "E, n")
        pictures, mask, brain, steps, *rest = arrays(given)
        maps = np.stack(rest[-2 * len(models) :: 2])  # (models, E, n, H, W)
        probability = np.stack(rest[1 - 2 * len(models) :: 2])
        n, _, *space = pictures.shape
        names = [f"slice {i + 1}" for i in range(n)] if names is None else list(names)
        score, chance = _scores(maps, mask > 0, brain > 0)
        self._pictures, self._mask = gray_levels(pictures[:, channel]), mask > 0
        self._maps = levels(maps)
        super().__init__(
            about={
                "title": title,
                "note": "Each map on its own scale. Score: share of the brain's "
                "positive relevance that lies in the tumor; p: probability of the "
                "true class.",
                "counted": counted,
                "models": list(models),
                "slices": names,
                "epochs": steps.tolist(),
                "shape": [n, *space],
                "probability": _rounded(probability),
                "score": _rounded(score),
                "chance": _rounded(chance),
            },
            images=pack(self._pictures),
            labels=pack(self._mask.astype(np.uint8)),
            heat=pack(self._maps),
            epoch=len(steps) - 1,
        )

    def alt(self) -> str:
        """First and last epoch in numbers."""
        about = self.about
        each = list(
            zip(about["models"], about["score"], about["probability"], strict=True)
        )
        first, last = (
            ", ".join(
                f"{name} {np.mean(score[at]):.2f} and {np.mean(p[at]):.2f}"
                for name, score, p in each
            )
            for at in (0, -1)
        )
        return (
            f"{about['title']}. Mean tumor score and probability of the true class at "
            f"{about['counted']} {about['epochs'][0]}: {first}; at {about['counted']} "
            f"{about['epochs'][-1]}: {last}. Score by chance: "
            f"{np.mean(about['chance']):.2f}."
        )

    def figure(self) -> Figure:
        """The first slice at up to six epochs, a row a model."""
        epochs, names = self.about["epochs"], self.about["models"]
        counted = "epoch " if self.about["counted"] == "epoch" else "at "
        counted = "" if isinstance(epochs[0], str) else counted
        last = len(epochs) - 1
        chosen = np.unique(np.linspace(0, last, min(6, last + 1)).astype(int))
        image, edge = self._pictures[0], {OUTLINE: self._mask[0]}
        heats = of_levels(self._maps[:, chosen, 0])
        rows = [
            [
                Panel(image, heat, edge, f"{counted}{epochs[at]}", (0, 255), 1)
                for at, heat in zip(chosen, row, strict=True)
            ]
            for row in heats
        ]
        return panels(rows, names, 1.6)


def _rounded(values: np.ndarray) -> list:
    return np.round(values.astype(float), 4).tolist()


def _scores(
    maps: np.ndarray, mask: np.ndarray, brain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``(models, E, n)`` and chance levels ``(n,)``."""
    import torch

    from lrpbook_lib.attribution import chance_level, tumor_lrp_score

    heats = torch.from_numpy(maps).flatten(0, 1)  # (models * E, n, H, W)
    given = torch.from_numpy(mask), torch.from_numpy(brain)
    scores = torch.stack([tumor_lrp_score(heat[:, None], *given) for heat in heats])
    return scores.reshape(maps.shape[:3]).numpy(), chance_level(*given).numpy()
