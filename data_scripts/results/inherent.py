"""What the experiments on inherently explainable networks share.

Small networks on slices of three classes, the maps of each, and the regions cut out of
them. A run trains on some patients, learns its thresholds on others (the inner fold)
and is tested on a third part that neither has seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from lrpbook_lib.attribution import (
    MultiOtsu,
    OfPeak,
    Quantile,
    Segmenter,
    best_dice,
    ellipse_map,
    explainer,
    learn_segmenter,
    segmentation_table,
)
from lrpbook_lib.data import SliceRecipe, SliceSet
from lrpbook_lib.files import whole_or_absent
from lrpbook_lib.models import (
    GPReconResNet,
    GPShuffleUNet,
    GPUNet,
    UNetTrunk,
    register_network,
)
from lrpbook_lib.training import (
    Experiment,
    Hardware,
    PhantomData,
    Trainer,
    TrainSettings,
    bootstrap_interval,
    read_model,
    run_experiment,
)
from lrpbook_lib.training.running import phantom_slices, split

from ..runs import runs_folder
from .common import COHORT, rows

#: The patients of the cohort, with as many slices without tumor: three classes.
BOTH = SliceRecipe("both", hgg_slices=3, lgg_slices=3, hgg_gap=6.0, lgg_gap=6.0)
#: As in BraTS, most sites treat one grade.
TIED = PhantomData(COHORT.patients, COHORT.seed, size=64, recipe=BOTH)
#: No site tells anything of the grade.
FREE = PhantomData(COHORT.patients, COHORT.seed, size=64, recipe=BOTH, confounding=0.0)

HEALTHY = "healthy"


@register_network
class SmallGPUNet(GPUNet):
    """GP-UNet with eight features."""

    def __init__(self, channels: int = 3, classes: int = 3, size: Any = 64) -> None:
        super().__init__(channels, classes, width=8, dropout=0.2)


@register_network
class SmoothGPUNet(GPUNet):
    """The same with log-sum-exp pooling: every pixel has a gradient."""

    def __init__(self, channels: int = 3, classes: int = 3, size: Any = 64) -> None:
        super().__init__(channels, classes, width=8, dropout=0.2, pool="lse")


@register_network
class SmallGPShuffleUNet(GPShuffleUNet):
    """GP-ShuffleUNet with four features, halved twice."""

    def __init__(self, channels: int = 3, classes: int = 3, size: Any = 64) -> None:
        super().__init__(channels, classes, width=4, depth=2, dropout=0.2)


@register_network
class SmallGPReconResNet(GPReconResNet):
    """GP-ReconResNet with six features and four blocks."""

    def __init__(self, channels: int = 3, classes: int = 3, size: Any = 64) -> None:
        super().__init__(channels, classes, width=6, blocks=4)


#: Every network has this budget; settings of GliomaCNN are those of the book.
START = Experiment(
    data=TIED,
    settings=TrainSettings(epochs=12),
    curve="none",
    inner=True,
)


def parts_of_run(run: Experiment, slices: SliceSet) -> dict[str, SliceSet]:
    """Slices to ``learn`` thresholds on, and the tests: ``patients`` and ``site``."""
    outer = split(run.but(inner=False), slices)
    rows = {"learn": split(run, slices)["patients"], **outer}
    rows.pop("train")
    return {name: slices.subset(at) for name, at in rows.items()}


# ---- maps ----------------------------------------------------------------------------

#: The maps of each kind of network: name, explainer, settings. Of several with one name
#: the better one on the validation patients counts.
OWN = (
    ("own map, pixel", "own", {"kind": "pixel"}),
    ("own map, routed", "own", {"kind": "routed"}),
    ("LRP", "epsilon-plus", {}),
)
POST_HOC = (
    ("LRP", "epsilon-plus", {}),
    ("LRP", "epsilon-gamma", {}),
    ("Grad-CAM", "gradcam", {"layer": "features.7"}),
    ("Grad-CAM", "gradcam", {"layer": "features.10"}),
    ("gradient", "gradient", {}),
)


def heat_of(
    network: nn.Module, slices: SliceSet, name: str, settings: Mapping[str, Any]
) -> np.ndarray:
    """Maps ``(N, H, W)`` of the predicted class, largest value one; none for healthy.

    Channels are summed, of gradients their sizes. What is negative is cut off.
    """
    explain = explainer(network, name, check=False, **settings)
    found = []
    for batch in batches(slices):
        with torch.no_grad():
            logits, heat = explain(batch)
        heat = heat.abs().sum(1) if name == "gradient" else heat.sum(1).clamp(min=0)
        said = logits.argmax(1)
        if HEALTHY in slices.classes:
            sick = said != slices.classes.index(HEALTHY)
            heat = heat * sick[:, None, None]
        found.append(heat.numpy())
    return peak_one(np.concatenate(found))


def batches(slices: SliceSet, size: int = 32) -> Iterator[torch.Tensor]:
    """The images, some at a time."""
    for start in range(0, len(slices), size):
        at = range(start, min(start + size, len(slices)))
        yield slices.batch(list(at))["image"]


def peak_one(heat: np.ndarray) -> np.ndarray:
    """Each map over its maximum; rules then mean the same for maps of any unit."""
    return np.asarray(heat / heat.max((1, 2), keepdims=True).clip(min=1e-12))


def controls(slices: SliceSet) -> dict[str, np.ndarray]:
    """Maps that need no network: an ellipse, and the image itself."""
    found = {"ellipse": ellipse_map(slices.brain).clip(min=0)}
    bright = "flair" if "flair" in slices.sequences else slices.sequences[0]
    at = slices.sequences.index(bright)
    found[f"{bright} alone"] = np.asarray(slices.images)[:, at].clip(min=0)
    return {name: peak_one(heat) for name, heat in found.items()}


# ---- regions -------------------------------------------------------------------------

SMOOTH = (0.0, 1.5)
OFFSETS = (0.0, 0.1, 0.2, 0.3)
#: What may be chosen from on validation patients, by the name of the rule.
RULES: dict[str, list[Segmenter]] = {
    "multi-Otsu": [Segmenter(MultiOtsu(o)) for o in OFFSETS],
    "quantile": [Segmenter(Quantile(0.9))],
    "learned": [
        Segmenter(rule, smooth)
        for smooth in SMOOTH
        for rule in (
            *(MultiOtsu(o) for o in OFFSETS),
            *(Quantile(q) for q in (0.8, 0.85, 0.9, 0.95)),
            *(OfPeak(s) for s in (0.1, 0.2, 0.35, 0.5, 0.65, 0.8)),
        )
    ],
}


def regions(
    heats: Mapping[str, list[dict[str, np.ndarray]]], parts: Mapping[str, SliceSet]
) -> pd.DataFrame:
    """How well each map's regions fit, on slices that no threshold was learned on.

    Parameters
    ----------
    heats
        For each method the maps of each part, in one form or several; the form too is
        chosen where thresholds are learned.
    parts
        Of :func:`parts_of_run`.
    """
    learn = parts["learn"]
    tables = []
    for method, forms in heats.items():
        for rule, candidates in RULES.items():
            tried = [
                learn_segmenter(
                    candidates, form["learn"], learn.tumor, learn.patient, learn.brain
                )
                for form in forms
            ]
            best = max(range(len(forms)), key=lambda i: tried[i][1])
            for part in parts.keys() - {"learn"}:
                slices, heat = parts[part], forms[best][part]
                found = tried[best][0](heat, slices.brain)
                table = segmentation_table(found, slices.tumor, slices.patient)
                table["oracle"] = oracle(tried[best][0], heat, slices, table)
                about = {"method": method, "rule": rule, "part": part}
                tables.append(table.assign(label=slices.labels, **about))
    return pd.concat(tables)


def oracle(
    segmenter: Segmenter, heat: np.ndarray, slices: SliceSet, table: pd.DataFrame
) -> np.ndarray:
    """Dice of each smoothed map, had its level been chosen by its own mask."""
    smooth = segmenter.smooth
    heat = gaussian_filter(heat, (0, smooth, smooth)) * slices.brain
    return np.where(table["dice"].notna(), best_dice(heat, slices.tumor), np.nan)


def train_and_cut(
    run: Experiment,
    folder: Path,
    slices: Any = None,
    hardware: Hardware | None = None,
) -> dict[str, Any]:
    """A task for ``run_grid``: train, then test classes and regions.

    Beside what a run writes, ``tested.csv`` holds the predictions for the tests, and
    ``regions.csv`` what :func:`regions` tells.
    """
    found = run_experiment(run, folder, slices, hardware)
    home = run.home(folder)
    data = slices_of_run(run, folder, slices)
    network = read_model(home).network
    parts = parts_of_run(run, data)
    trainer = Trainer(network, run.loss, run.settings)
    tested = [
        trainer.predict(part).assign(part=name)
        for name, part in parts.items()
        if name != "learn"
    ]
    maps = OWN if hasattr(network, "own_map") else POST_HOC
    heats: dict[str, list[dict[str, np.ndarray]]] = {}
    for method, name, settings in maps:
        form = {p: heat_of(network, s, name, settings) for p, s in parts.items()}
        heats.setdefault(method, []).append(form)
    write(home / "tested.csv", pd.concat(tested))
    write(home / "regions.csv", regions(heats, parts))
    return found


def slices_of_run(run: Experiment, folder: Path, slices: Any) -> SliceSet:
    """What a run is about."""
    if isinstance(run.data, PhantomData):
        return phantom_slices(run.data, folder)
    return slices[run.data]


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table whole."""
    with whole_or_absent(path) as beside:
        table.to_csv(beside, index=False)


# ---- the upper bound -----------------------------------------------------------------


def masked_unet(
    train: SliceSet, seed: int, epochs: int = 15, width: int = 8
) -> nn.Module:
    """A UNet that is told every pixel: cross entropy and Dice, Adam, one cycle."""
    torch.manual_seed(seed)
    channels = train.images.shape[1]
    network = nn.Sequential(
        UNetTrunk(channels, width, dropout=0.2), nn.Conv2d(width, 1, 1)
    )
    steps = epochs * -(-len(train) // 16)
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(epochs):
        for at in torch.randperm(len(train)).split(16):
            batch = train.batch(at.tolist())
            truth = (batch["tumor"] > 0).float()
            z = network(batch["image"])[:, 0]
            p = z.sigmoid()
            overlap = (2 * (p * truth).sum() + 1) / (p.sum() + truth.sum() + 1)
            loss = nn.functional.binary_cross_entropy_with_logits(z, truth) - overlap
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
    return network.eval()


def masked_regions(network: nn.Module, slices: SliceSet) -> np.ndarray:
    """Where such a UNet says tumor, above one half."""
    with torch.no_grad():
        found = [network(x)[:, 0].numpy() > 0 for x in batches(slices)]
    return np.concatenate(found) & slices.brain


# ---- what the tables come to ---------------------------------------------------------

MEASURES = ("dice", "iou", "hausdorff95", "oracle", "false_alarm")


def summary(table: pd.DataFrame, by: Sequence[str]) -> list[dict[str, Any]]:
    """Means over patients with their intervals, and the median Dice of slices.

    Parameters
    ----------
    table
        Regions of all runs, a row a slice.
    by
        Columns whose values are told apart.
    """
    found = []
    for key, group in table.groupby(list(by), sort=False):
        row = dict(zip(by, key, strict=True))
        for name in MEASURES:
            told = group[group[name].notna()]
            if len(told):
                # Patients count alike, however many slices and runs they are in.
                each = told.groupby("patient", as_index=False)[name].mean()
                interval = bootstrap_interval(each, name, draws=1000)
                row |= {
                    name: interval.estimate,
                    f"{name}_low": interval.low,
                    f"{name}_high": interval.high,
                }
        row["median_dice"] = group["dice"].median()
        row["patients"] = group["patient"].nunique()
        found.append(row)
    return rows(pd.DataFrame(found))


def grading(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """The slices with tumor as a question of two grades, healthy being no answer.

    What was published as accuracy on tumor-only images.
    """
    healthy = list(classes).index(HEALTHY)
    ill = predictions[predictions["label"] != healthy].copy()
    names = [f"p_{c}" for c in range(len(classes)) if c != healthy]
    ill[names] = ill[names].div(ill[names].sum(axis=1), axis=0)
    ill["predicted"] = ill[names].to_numpy().argmax(1)
    return ill.drop(columns=f"p_{healthy}")


def read(
    arms: Mapping[str, Sequence[Experiment]], name: str
) -> dict[str, list[pd.DataFrame]]:
    """A table of every run, by arm."""
    return {
        arm: [
            pd.read_csv(runs_folder() / run.name / f"{name}.csv").assign(seed=i)
            for i, run in enumerate(runs)
        ]
        for arm, runs in arms.items()
    }


def joined(tables: Mapping[str, Sequence[pd.DataFrame]]) -> pd.DataFrame:
    """One table of all arms, with a column ``arm``."""
    return pd.concat(t.assign(arm=arm) for arm, each in tables.items() for t in each)
