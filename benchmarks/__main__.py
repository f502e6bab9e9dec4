"""``python -m benchmarks``: one table of ratios.

Everything in a table is measured in this process, round by round, and compared within a
round. Below one, the thing measured is faster than what it is measured against.
"""

from __future__ import annotations

import argparse

import pandas as pd
import torch
import torch._inductor.config as inductor

from . import similar, training
from .measure import milliseconds, ratio, side_by_side
from .tasks import Setting, Task

PAPER = "sefcik-epsilon"

#: What, against what, and how large the ratio may be.
ROWS = [
    ("heatmaps", "input gradient", 1.5),
    ("heatmaps, compiled", "input gradient", 0.8),
    ("heatmaps", "zennit", 1 / 3),
    ("heatmaps, compiled", "zennit", 1 / 5),
    ("heatmaps", "captum", 1 / 3),
    ("heatmaps, compiled", "captum", 1 / 5),
    ("CE/score step, one pass", "CE step", 2.5),
    ("CE/score step, two passes", "CE step", 2.5),
    ("CE/score step, one pass, compiled", "CE step", 2.0),
    ("CE/score step, two passes, compiled", "CE step", 2.0),
    ("CE/score step, paper's rule", "CE step", 2.5),
    ("CE/score step, paper's rule, compiled", "CE step", 2.0),
    ("CE/score step, one pass", "zennit step", 1 / 3),
    ("CE/score step, two passes", "zennit step", 1 / 3),
    ("BiLRP, all factors", "one LRP a neuron", 1 / 20),
    ("BiLRP, four regions", "one LRP a neuron", 1 / 20),
]

NOTE = """
Where nothing else is said, the rules are epsilon-plus; the paper's rule is epsilon = 1.
one pass: relevance of the very pass that made the logits (clean=False).
two passes: dropout on for the logits, off for the relevance (the default).
A row without zennit or captum is left out where that package is not installed.
"""


def tasks(setting: Setting, compiled: bool) -> dict[str, Task]:
    """Every task that can run here, by name."""
    found: dict[str, Task | None] = {
        "input gradient": setting.gradient(),
        "heatmaps": setting.heatmaps(),
        "zennit": setting.zennit(),
        "captum": setting.captum(),
        "CE step": setting.plain_step(),
        "CE/score step, one pass": setting.guided_step(clean=False),
        "CE/score step, two passes": setting.guided_step(clean=True),
        "zennit step": setting.zennit_step(),
        "CE/score step, paper's rule": setting.guided_step(False, rules=PAPER),
        "BiLRP, all factors": setting.pair(),
        "BiLRP, four regions": setting.pair_by_region(),
        "one LRP a neuron": setting.pair_by_neuron(),
    }
    if compiled:
        found["heatmaps, compiled"] = setting.heatmaps(compiled=True)
        for clean, name in ((False, "one pass"), (True, "two passes")):
            step = setting.guided_step(clean=clean, compiled=True)
            found[f"CE/score step, {name}, compiled"] = step
        step = setting.guided_step(False, rules=PAPER, compiled=True)
        found["CE/score step, paper's rule, compiled"] = step
    return {name: task for name, task in found.items() if task is not None}


def table(setting: Setting, seconds: float, compiled: bool) -> pd.DataFrame:
    """Ratios for one setting, a row a comparison."""
    times = side_by_side(tasks(setting, compiled), seconds)
    rows = []
    for task, against, reach in ROWS:
        if task in times and against in times:
            measured = ratio(times, task, against)
            rows.append(
                {
                    "what": task,
                    "against": against,
                    "ms": round(milliseconds(times, task), 1),
                    "against, ms": round(milliseconds(times, against), 1),
                    "ratio": round(measured, 3),
                    "reach": round(reach, 3),
                    "met": "yes" if measured <= reach else "no",
                }
            )
    return pd.DataFrame(rows)


def limits(seconds: float, size: int = 112, **sizes: int) -> pd.DataFrame:
    """Times of similar cases, which are promised as such, a row each."""
    timed = similar.tasks(size, **sizes)
    times = side_by_side({name: task for name, (task, _) in timed.items()}, seconds)
    rows = []
    for name, reach in similar.LIMITS.items():
        each = milliseconds(times, name) / timed[name][1]
        met = "yes" if each <= reach else "no"
        rows.append({"what": name, "ms": round(each, 1), "reach": reach, "met": met})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="for each table")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument(
        "--sizes", nargs="+", default=["128x16", "240x8"], help="pixels x batch"
    )
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    # Dropout by the generator that plain PyTorch uses; the compiler's own is slow here.
    inductor.fallback_random = True
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    print(f"torch {torch.__version__}, {chosen.threads} threads, float32")
    for device in devices:
        for text in chosen.sizes:
            size, batch = (int(part) for part in text.split("x"))
            setting = Setting(size, batch, device)
            print(f"\nGliomaCNN at {size} px, batch {batch}, {device}")
            shown = table(setting, chosen.seconds, not chosen.no_compile)
            print(shown.to_string(index=False))
    print("\nGliomaCNN at 128 px, batch 16, inside Trainer")
    print(pd.DataFrame(training.table()).to_string(index=False))
    print("\nSimilar cases, GliomaCNN at 112 px, 2,000 atlas slices, cpu")
    print(limits(chosen.seconds).to_string(index=False))
    print(NOTE)


if __name__ == "__main__":
    main()
