"""What the library does, in a few numbers: whether old results still hold.

Experiments of hours cannot be repeated after every edit, and a hash of the code would
call them stale for a reworded comment. A stamp therefore keeps what a tiny training
came to with each loss, rule and network that its experiments use. As long as the code
comes to the same, the results hold; what they do not use, does not concern them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import torch

from lrpbook_lib.data import Augmented, SliceSet
from lrpbook_lib.data.augment import Transform
from lrpbook_lib.data.phantom.knobs import RECIPE
from lrpbook_lib.data.slices.extract import VERSION
from lrpbook_lib.guidance import CrossEntropy, LRPLoss, Schedule
from lrpbook_lib.models import NETWORKS

from .comparison import compare
from .experiment import Experiment, PhantomData
from .groups import GroupBalanced
from .settings import TrainSettings
from .trainer import Trainer
from .twins import compare_twins
from .views import Crop

#: Floats of another processor differ in their last digits; ten steps widen that.
TOLERANCE = 1e-3

_NETWORK, _RULE = "GliomaCNN", "epsilon-plus"

#: Metrics that older stamps do not tell: to learn one changes no number that is known.
_NEWER = ("brier", "too_sure")


def behavior(experiments: Iterable[Experiment]) -> dict[str, float]:
    """What everything comes to that these experiments use, seconds for all there is.

    Loss and tumor score after a few steps with each loss, with each LRP rule, with each
    network and with each way to weigh groups; what transforms make of noise, and a
    segmentation network of it; the versions of phantom and slices.
    """
    found: dict[str, float] = {}
    for e in experiments:
        if isinstance(e.data, PhantomData):
            found |= {"phantom": RECIPE, "slices": VERSION}
        kind, rules = type(e.loss), {e.settings.composite, e.settings.judge}
        found |= _trained(kind.__name__, kind())
        for rule in rules - {_RULE, None}:
            # A map of its own is a matter of the network, and not all have one.
            own = {"network": e.model} if rule == "own" else {}
            name = ", ".join(["LRPLoss", str(rule), *own.values()])
            found |= _trained(name, LRPLoss(1), rule=str(rule), **own)
        if e.model != _NETWORK:
            found |= _trained(e.model, LRPLoss(2), network=e.model)
        if (groups := e.settings.groups) is not None:
            name = type(groups).__name__
            found |= _trained(name, CrossEntropy(), groups=type(groups)())
        if e.settings.augment is not None:
            found |= _transformed(type(e.settings.augment))
        if e.view == "crop":
            found |= _outlined()
    return dict(sorted(found.items()))


def changes(known: Mapping[str, float], now: Mapping[str, float]) -> list[str]:
    """Where a behavior that was known differs now, a line each."""
    lost = float("nan")
    return [
        f"{key}: {then:.6g}, now {here:.6g}"
        for key, then in known.items()
        for here in [now.get(key, lost)]
        if not abs(then - here) <= TOLERANCE * max(abs(then), abs(here), 1e-3)
    ]


@cache
def comparison() -> dict[str, float]:
    """What the comparison of two arms comes to, of three runs each."""
    rng = np.random.default_rng(0)
    label, p = np.repeat(np.arange(12) % 2, 3), rng.random((6, 36))
    runs = [
        pd.DataFrame(
            {
                "label": label,
                "predicted": (p[i] > 0.5).astype(int),
                "p_0": 1 - p[i],
                "p_1": p[i],
                "score": p[i - 1] / 2,
                "chance": np.where(p[i - 2] > 0.2, 0.1, 0.0),
                "patient": np.repeat([f"p{k}" for k in range(12)], 3),
            }
        )
        for i in range(6)
    ]
    table = compare({"a": runs[:3], "b": runs[3:]}, "a", ("x", "y"), draws=50)
    table = table[~table["metric"].isin(_NEWER)]
    columns = ("estimate", "low", "high", "difference_low", "difference_high")
    return {f"compare: {c}": float(table[c].abs().sum()) for c in columns}


@cache
def twin_comparison() -> dict[str, float]:
    """What the comparison of two arms on twins comes to, of two runs each."""
    rng = np.random.default_rng(0)
    twins = pd.DataFrame(product("ADF", "0123", "HL"), columns=["site", "who", "grade"])
    twins["patient"] = "Phantom_" + twins["site"] + "_" + twins["who"] + twins["grade"]
    twins["label"] = (twins["grade"] == "H").astype(int)
    runs = [
        twins.assign(p_0=1 - p, p_1=p, score=p / 2, chance=0.1)
        for p in rng.random((4, len(twins)))
    ]
    table = compare_twins({"a": runs[:2], "b": runs[2:]}, "a", draws=50)
    columns = ("estimate", "low", "high", "difference_low", "difference_high")
    return {f"compare_twins: {c}": float(table[c].abs().sum()) for c in columns}


@cache
def _trained(
    name: str,
    loss: CrossEntropy,
    rule: str = _RULE,
    network: str | None = None,
    groups: GroupBalanced | None = None,
) -> dict[str, float]:
    kind = NETWORKS[network or loss.network or _NETWORK]
    size = getattr(kind, "least_size", 16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(channels=3, size=size)
    settings = TrainSettings(
        epochs=1,
        batch_size=8,
        lr=1e-4,
        composite=rule,
        schedule=Schedule(),
        groups=groups,
    )
    trainer = Trainer(model, loss, settings)
    noise = _noise(size)
    trainer.fit(noise)
    after = trainer.evaluate(noise)
    return {f"{name}: {key}": after[key] for key in ("loss", "score")}


@cache
def _transformed(kind: Callable[[], Transform]) -> dict[str, float]:
    noise, transform = _noise(16), kind()
    seen = Augmented(noise, transform).batch(range(len(noise)))["image"]
    return {f"{type(transform).__name__}: image": float(seen.square().mean())}


@cache
def _outlined() -> dict[str, float]:
    noise = _noise(16)
    network = replace(Crop.segmenter, steps=9).fit(noise)
    with torch.no_grad():
        said = network(torch.from_numpy(noise.images))
    return {"crop: outline": float(said.mean()), "crop: margin": float(Crop.margin)}


def _noise(size: int | tuple[int, ...], samples: int = 24) -> SliceSet:
    space = size if isinstance(size, tuple) else (size, size)
    rng = np.random.default_rng(0)
    labels = np.arange(samples) % 2
    tumor = np.zeros((samples, *space), dtype=bool)
    corners = rng.integers(2, space[-1] - 6, (samples, len(space)))
    for i, corner in enumerate(corners):
        box = tuple(slice(int(edge), int(edge) + 4) for edge in corner)
        tumor[i][box] = True
    images = rng.uniform(0.2, 0.6, (samples, 3, *space))
    images += 0.3 * (tumor.swapaxes(0, -1) * labels).swapaxes(0, -1)[:, None]
    return SliceSet.from_arrays(
        images,
        labels,
        tumor,
        np.ones_like(tumor),
        [f"p{i}" for i in range(samples)],
        ["s", *["t"] * (samples - 1)],
        classes=("LGG", "HGG"),
    )
