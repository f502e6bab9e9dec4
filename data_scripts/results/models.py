"""The two networks that chapters and pages use: the first plain and guided run.

Both are trained to the end; their weights are the means of ten epochs.
"""

import numpy as np

from lrpbook_lib.training.checkpoint import read_tensors, weights_of

from ..runs import run_arms, runs_folder, stamp
from .worth import EVERY, MODELS

ARMS = {name: EVERY[arm, 1][:1] for name, arm in MODELS.items()}


def main(jobs: int) -> None:
    """Run, and stamp the weights with what their checkpoints tell of them."""
    run_arms(ARMS, jobs)
    values, arrays = {}, {}
    for name, (run,) in ARMS.items():
        path = runs_folder() / run.name / "average.safetensors"
        tensors, about = read_tensors(path)
        values[name] = {key: about[key] for key in ("spec", "identity", "data")}
        for key, tensor in weights_of(tensors).items():
            arrays[f"{name}/{key}"] = tensor.numpy().astype(np.float16)
    stamp("models", values, ARMS, arrays)
