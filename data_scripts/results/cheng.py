"""Real tumors: plain against guided training on the slices of Cheng (CC BY 4.0)."""

import numpy as np
import torch

from lrpbook_lib.data import SliceSet, cache_home, cheng_slices, data_home
from lrpbook_lib.data.files import file_digest
from lrpbook_lib.guidance import CrossEntropy, LogRatioLoss, LRPLoss
from lrpbook_lib.models import GliomaCNN
from lrpbook_lib.training import Trainer, load_weights
from lrpbook_lib.training.running import split

from .common import BASE, histories, intervals, over_seeds, rows, run_arms, stamp

START = BASE.but(data="cheng 64", held_out=(), epochs=8, curve="patients")
LOSSES = {
    "plain": CrossEntropy(),
    "power 1": LRPLoss(1),
    "log-ratio": LogRatioLoss(0.1),
}
ARMS = {arm: over_seeds(START.but(loss=loss)) for arm, loss in LOSSES.items()}

COLUMNS = ["patients_accuracy", "patients_score", "patients_chance"]


def main(jobs: int) -> None:
    """Run, compare, stamp; skip with a word where the data is not."""
    home = data_home()
    file = home / "cheng" / "cheng_128.npz" if home else None
    if file is None or not file.is_file():
        print("cheng: skipped, the slices of Cheng are not on this machine")
        return
    slices = cheng_slices(file, size=64)
    predictions = run_arms(ARMS, jobs, {"cheng 64": slices})
    history = histories(ARMS)[["arm", "seed", "epoch", *COLUMNS]]
    values = {
        "intervals": intervals(predictions, parts=["patients"], classes=slices.classes),
        "history": rows(history),
        "slices": len(slices),
        "blocks": len(np.unique(slices.patient)),
    }
    stamp(
        "cheng",
        values,
        ARMS,
        pictures(slices),
        {"cheng_128.npz": file_digest(file)[:16]},
    )


def pictures(slices: SliceSet) -> dict[str, np.ndarray]:
    """Before and after: test slices of the first fold with the heatmap of each arm."""
    folder = cache_home() / "runs"
    test = slices.subset(split(ARMS["plain"][0], slices)["patients"])
    chosen = [
        int(i) for c in range(3) for i in np.flatnonzero(test.labels == c)[5:26:20]
    ]
    found = {
        "images": np.rint(np.asarray(test.images)[chosen, 0] * 255).astype(np.uint8),
        "tumor": np.asarray(test.tumor)[chosen].astype(np.uint8),
        "labels": np.asarray(test.labels)[chosen].astype(np.uint8),
    }
    x = torch.stack([test[i]["image"] for i in chosen])
    y = torch.as_tensor(found["labels"].astype(np.int64))
    for arm in ARMS:
        run = ARMS[arm][0]
        model = GliomaCNN(channels=1, classes=3, size=64)
        load_weights(model, folder / run.name / "checkpoint.safetensors")
        _, relevance = Trainer(model, settings=run.settings).explain(x, y)
        heat = relevance.sum(1).numpy()
        peak = np.abs(heat).max((1, 2), keepdims=True).clip(1e-12)
        found[f"{arm}/relevance"] = np.rint(127 * heat / peak).astype(np.int8)
    return found
