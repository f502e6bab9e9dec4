"""``python -m benchmarks.gpu``: all that needs a CUDA device, and one report of it.

Tests on the device, two processes' training started by torchrun, the tables of
``python -m benchmarks`` on the device, the paper's experiment at its real size, and the
book in its full profile. A part that fails is told, and the others still run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from lrpbook_lib.data import SliceSet
from lrpbook_lib.guidance import CrossEntropy, LRPLoss
from lrpbook_lib.models import GliomaCNN
from lrpbook_lib.training import Hardware, Trainer, TrainSettings

from .inputs import slices

#: The paper's first experiment: slices, pixels, epochs, batch.
PAPER = (1645, 240, 5, 16)
LOSSES = {"plain": CrossEntropy(), **{f"power {k}": LRPLoss(k) for k in (1, 2, 3)}}

PYTHON = [sys.executable, "-m"]
#: Parts by name; each is a command whose output goes into the report.
PARTS = {
    "Tests on the device": [*PYTHON, "pytest", "-m", "gpu", "-q"],
    "torchrun": [
        *PYTHON,
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=gpu",
        "--module",
        "benchmarks.gpu",
        "--only",
        "distributed",
    ],
    "Times": [*PYTHON, "benchmarks", "--device", "cuda", "--only-passes"],
    "The paper's experiment": [*PYTHON, "benchmarks.gpu", "--only", "paper"],
    "The book": [*PYTHON, "book_tools", "build", "--profile", "full", "--jobs", "1"],
}


def paper(count: int, size: int, epochs: int, batch: int, accelerator: str) -> None:
    """Train with four losses at the paper's real size, and tell the seconds."""
    data = cohort(count, size)
    on = Hardware(accelerator=accelerator, compile=accelerator == "cuda")
    began = time.perf_counter()
    for name, loss in LOSSES.items():
        torch.manual_seed(0)
        settings = TrainSettings(epochs=epochs, batch_size=batch)
        trainer = Trainer(GliomaCNN(size=size), loss, settings, hardware=on)
        seconds = trainer.fit(data)["seconds"]
        print(
            f"{name}: {seconds.sum():.1f} s, {', '.join(f'{s:.1f}' for s in seconds)}"
        )
    print(f"together: {time.perf_counter() - began:.1f} s")


def distributed() -> None:
    """A few guided epochs on every device of this machine."""
    on = Hardware("cuda", devices=torch.cuda.device_count(), strategy="ddp")
    settings = TrainSettings(epochs=3, batch_size=32)
    trainer = Trainer(GliomaCNN(size=64), LRPLoss(1), settings, hardware=on)
    history = trainer.fit(cohort(256, 64))
    if trainer.fabric.global_rank == 0:
        print(f"{trainer.fabric.world_size} processes\n{history.round(3).to_string()}")


def cohort(count: int, size: int) -> SliceSet:
    """Synthetic slices of many patients, repeated to the number wanted."""
    images, tumor, brain = slices(size, count)
    numbers = np.arange(count)
    return SliceSet.from_arrays(
        images.numpy(),
        numbers % 2,
        tumor.numpy() > 0,
        brain.numpy() > 0,
        [f"p{i // 3}" for i in numbers],
        ["s"] * count,
    )


def main() -> None:
    """Run the parts one after the other and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--only", choices=("paper", "distributed"))
    parser.add_argument("--out", type=Path, default=Path("_build/gpu_report.md"))
    chosen = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA device here: nothing was run and nothing written.")
    if chosen.only == "paper":
        paper(*PAPER, "cuda")
    elif chosen.only == "distributed":
        distributed()
    else:
        report(chosen.out)


def report(path: Path) -> None:
    """Run every part, and write what it said and how long it took."""
    lines = [f"# On {torch.cuda.get_device_name()}, torch {torch.__version__}"]
    failed = []
    for name, command in PARTS.items():
        print(f"{name} ...", flush=True)
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        took = f"{time.perf_counter() - began:.0f} s"
        said = (done.stdout + done.stderr * bool(done.returncode)).strip()
        how = "failed" if done.returncode else "done"
        lines += [f"## {name}: {how}, {took}", f"```\n{said}\n```"]
        failed += [name] * bool(done.returncode)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    print(f"written to {path}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
