"""``python -m benchmarks``: one table of ratios, best form against best form.

Everything in a table is measured in this process, round by round, and compared within a
round. Each contestant runs in every form that it has (default and channels-last layout,
eager and compiled; on a GPU also as CUDA graphs and in bfloat16), and is compared in
the form in which it is fastest: the yardsticks too. Below one, the thing measured is
faster than what it is measured against.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import torch._inductor.config as inductor

from . import similar, training
from .measure import milliseconds, ratio, side_by_side
from .tasks import Form, Setting, Task

#: What, against what, and how large the ratio may be.
ROWS = [
    ("heatmaps", "input gradient", 1.1),
    ("heatmaps", "zennit", 1 / 3),
    ("heatmaps", "captum", 1 / 3),
    ("CE/score step, one pass", "CE step", 2.8),
    ("CE/score step, two passes", "CE step", 3.8),
    ("CE/score step, paper's rule", "CE step", 2.8),
    ("CE/score step, one pass", "zennit step", 1 / 3),
    ("BiLRP, all factors", "one LRP a neuron", 1 / 20),
    ("BiLRP, four regions", "one LRP a neuron", 1 / 20),
]

NOTE = """
Images are synthetic slices scaled to 0 to 1, as in every chapter. Where nothing else is
said, the rules are epsilon-plus; the paper's rule is epsilon = 1.
one pass: relevance of the very pass that made the logits (clean=False).
two passes: dropout on for the logits, off for the relevance (the default).
A row without zennit or captum is left out where that package is not installed.
"""


def contestants(setting: Setting, compiled: bool) -> dict[tuple[str, str], Task]:
    """Every task that can run here, by what it does and in which form."""
    makers = {
        "input gradient": setting.gradient,
        "heatmaps": setting.heatmaps,
        "zennit": setting.zennit,
        "captum": setting.captum,
        "CE step": setting.plain_step,
        "CE/score step, one pass": setting.guided_step,
        "CE/score step, two passes": partial(setting.guided_step, clean=True),
        "CE/score step, paper's rule": partial(
            setting.guided_step, rules="sefcik-epsilon"
        ),
        "zennit step": setting.zennit_step,
    }
    found: dict[tuple[str, str], Task | None] = {
        (what, str(form)): make(form)
        for form in setting.forms(compiled)
        for what, make in makers.items()
    }
    if setting.space == 2:
        once = str(Form("channels-last"))
        found["BiLRP, all factors", once] = setting.pair()
        found["BiLRP, four regions", once] = setting.pair_by_region()
        found["one LRP a neuron", once] = setting.pair_by_neuron()
    return {name: task for name, task in found.items() if task is not None}


def tables(
    setting: Setting, seconds: float, compiled: bool
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ratios of best forms, a row a comparison; and milliseconds of every form."""
    times = side_by_side(contestants(setting, compiled), seconds)
    each = pd.DataFrame(
        [
            {"what": what, "form": form, "ms": milliseconds(times, (what, form))}
            for what, form in times
        ]
    )
    best = each.loc[each.groupby("what", sort=False)["ms"].idxmin()]
    form = dict(zip(best["what"], best["form"], strict=True))
    rows = []
    for what, against, reach in ROWS:
        if what in form and against in form:
            one, other = (what, form[what]), (against, form[against])
            measured = ratio(times, one, other)
            rows.append(
                {
                    "what": f"{what} ({form[what]})",
                    "against": f"{against} ({form[against]})",
                    "ms": round(milliseconds(times, one), 1),
                    "against, ms": round(milliseconds(times, other), 1),
                    "ratio": round(measured, 3),
                    "reach": round(reach, 3),
                    "met": "yes" if measured <= reach else "no",
                }
            )
    wide = each.pivot_table("ms", "what", "form", sort=False).round(1)
    return pd.DataFrame(rows), wide


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


def made(chosen: argparse.Namespace) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables that are asked for, each with its title."""
    for space, texts in ((2, chosen.sizes), (3, chosen.volumes)):
        for text in texts:
            size, batch = (int(part) for part in text.split("x"))
            setting = Setting(size, batch, chosen.device, space)
            what = f"{space}D at {size} px, batch {batch}, {chosen.device}"
            ratios, times = tables(setting, chosen.seconds, not chosen.no_compile)
            yield what, ratios
            yield f"{what}, milliseconds", times.reset_index()
    if not chosen.only_passes:
        title = "GliomaCNN at 128 px, batch 16, inside Trainer"
        yield title, pd.DataFrame(training.table())
        title = "Similar cases, GliomaCNN at 112 px, 2,000 slices"
        yield title, limits(chosen.seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--seconds", type=float, default=60, help="for each table")
    add("--threads", type=int, default=2)
    add("--device", choices=("cpu", "cuda"), default="cpu")
    add("--no-compile", action="store_true")
    add("--sizes", nargs="*", default=["128x16", "240x8"], help="pixels x batch")
    add("--volumes", nargs="*", default=["48x4"], help="the same in 3D")
    add("--only-passes", action="store_true", help="neither trainer nor similar cases")
    add("--csv", type=Path, help="a folder for the tables")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    # Dropout by the generator that plain PyTorch uses; the compiler's own is slow here.
    inductor.fallback_random = True
    print(f"torch {torch.__version__}, {chosen.threads} threads, float32")
    for title, table in made(chosen):  # each as soon as it is there
        print(f"\n{title}\n{table.to_string(index=False, na_rep='')}", flush=True)
        if chosen.csv:
            chosen.csv.mkdir(parents=True, exist_ok=True)
            table.to_csv(chosen.csv / f"{title}.csv", index=False)
    print(NOTE)


if __name__ == "__main__":
    main()
