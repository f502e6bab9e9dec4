"""The model card: what the book's models are for, how good they are, how they fail.

After Mitchell et al. 2019 (``mitchell2019``). Every number comes from stamped results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: Protocol of a test, as results name it, to words.
PROTOCOLS = {"patients": "random patients", "site": "held-out sites"}
_METRICS = {
    "auc": "AUC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "brier": "Brier score",
    "too_sure": "too sure by",
    "score": "tumor score",
}
Row = Mapping[str, Any]


def model_card(
    intervals: Sequence[Row],
    arms: Mapping[str, str],
    stamp: Mapping[str, Any] | None = None,
    classes: Sequence[str] = ("LGG", "HGG"),
    watts: float = 65.0,
) -> str:
    """A model card in Markdown.

    Parameters
    ----------
    intervals
        Rows of a result: ``arm``, ``metric``, ``protocol``, ``estimate``, ``low`` and
        ``high``; ``chance`` where a row tells it, otherwise it is taken from the row
        of the metric ``chance``, or known.
    arms
        Name of an arm in the result to what it is, in words.
    stamp
        Of the result; ``seconds``, ``runs`` and ``device`` are told.
    classes
        Names of the classes.
    watts
        Assumed power of the machine, for an estimate of the energy.
    """
    have = {row["arm"] for row in intervals}
    if lacking := [arm for arm in arms if arm not in have]:
        raise ValueError(
            f"arms: the result has no {', '.join(lacking)}; it has "
            f"{', '.join(sorted(have))}"
        )
    table = {(r["arm"], r["metric"], r["protocol"]): r for r in intervals}
    models = "\n".join(f"| {arm} | {what} |" for arm, what in arms.items())
    return f"""\
**For teaching and research. Not for clinical use**: no one may be diagnosed with these
models. They have seen synthetic patients alone.

**The models**

| | |
|---|---|
{models}
| Output | a probability for each of {", ".join(classes)}, a slice at a time |
| Input | axial slices, skull-stripped, each sequence scaled inside the brain |

**Meant for** showing what an explanation tells of a model and what it does not, and for
trying the library on one's own scans (`python -m lrpbook_lib.explain`).
**Not meant for** patients, for grading, for choosing what to look at, or as a baseline
that others' accuracies are compared with.

**How good they are** (with 95 % intervals, on synthetic patients never trained on)

{_metrics(table, arms, len(classes))}

A Brier score is the squared distance of the probabilities from the truth, zero at best;
*too sure by* is the mean probability of the class that is named, minus the accuracy.

**How they fail**

{_failures(table, arms)}

**What it cost**

{_cost(stamp or {}, watts)}
"""


def _metrics(table: Mapping[Any, Row], arms: Mapping[str, str], classes: int) -> str:
    lines = [
        "| model | tested on | metric | estimate | by chance |",
        "|---|---|---|---|---|",
    ]
    for arm in arms:
        for protocol, words in PROTOCOLS.items():
            for metric, name in _METRICS.items():
                row = table.get((arm, metric, protocol))
                if row is None or row["estimate"] is None:
                    continue
                chance = _chance(table, row, classes)
                told = "-" if chance is None else f"{chance:.2f}"
                lines.append(
                    f"| {arm} | {words} | {name} | {_interval(row)} | {told} |"
                )
    return "\n".join(lines)


def _chance(table: Mapping[Any, Row], row: Row, classes: int) -> float | None:
    if row.get("chance") is not None:
        return float(row["chance"])
    if row["metric"] == "score":
        by_area = table.get((row["arm"], "chance", row["protocol"]))
        return None if by_area is None else by_area["estimate"]
    # By chance the Brier score is that of equal probabilities.
    known = {"auc": 0.5, "balanced_accuracy": 1 / classes, "brier": 1 - 1 / classes}
    return known.get(row["metric"])


def _interval(row: Row) -> str:
    if row.get("low") is None or row.get("high") is None:
        return f"{row['estimate']:.2f}"
    return f"{row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _failures(table: Mapping[Any, Row], arms: Mapping[str, str]) -> str:
    told = []
    for arm in arms:
        known, new = (table.get((arm, "auc", p)) for p in PROTOCOLS)
        if known and new:
            told.append(
                f"- **{arm}, other scanners**: an AUC of {_interval(known)} on "
                f"patients of known sites is {_interval(new)} at sites never seen"
                + (
                    ", where the interval includes chance."
                    if new.get("low") is not None and new["low"] <= 0.5
                    else "."
                )
            )
        score = table.get((arm, "score", "site"))
        chance = _chance(table, score, len(arms)) if score else None
        if score and chance is not None:
            told.append(
                f"- **{arm}, elsewhere than the tumor**: "
                f"{100 * (1 - score['estimate']):.0f} % of its positive relevance lies "
                f"outside the tumor at those sites; spread evenly over the brain it "
                f"would be {100 * (1 - chance):.0f} %."
            )
    always = (
        "- **Real patients**: nothing here was trained on one. Chapter 15 shows what "
        "happens.",
        "- **Other input**: other sequences, a skull, a tumor after surgery, another "
        "disease, a healthy head: the models answer all the same, and with confidence.",
        "- **A heatmap on the tumor** was asked for in training. It does not show that "
        "the decision rests on it.",
    )
    return "\n".join([*told, *always])


def _cost(stamp: Mapping[str, Any], watts: float) -> str:
    seconds = stamp.get("seconds")
    if seconds is None:
        return "Not recorded."
    hours = seconds / 3600
    runs = f"{stamp['runs']} trainings" if "runs" in stamp else "All trainings"
    where = f" on a {stamp['device']}" if "device" in stamp else ""
    return (
        f"{runs} behind these numbers took {hours:.1f} hours{where} altogether: about "
        f"{hours * watts / 1000:.2f} kWh at an assumed {watts:g} W (not measured)."
    )
