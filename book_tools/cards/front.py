"""What front page and README say was found: written from the result, or not at all.

Each sentence has its condition beside it. If the numbers move away from what is said,
there is no text, and the book does not build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lrpbook_lib.explore import arm_row, difference_text, estimate_text


class ClaimError(ValueError):
    """A sentence that the numbers do not carry."""


def findings(worth: Mapping[str, Any]) -> str:
    """The three findings of the book in Markdown, with their intervals.

    Parameters
    ----------
    worth
        The values of the stamped result ``worth``.

    Raises
    ------
    ClaimError
        If a sentence does not hold any more.
    """
    return "\n".join(
        f"{number}. {finding(worth)}"
        for number, finding in enumerate((_map, _answers, _masks), 1)
    )


def in_short(worth: Mapping[str, Any]) -> str:
    """The findings in two sentences, for the README."""
    findings(worth)  # or an error
    table = _cohort(worth["intervals"])
    auc = {arm: arm_row(table, arm, "auc", "site").estimate for arm in _ARMS}
    plain, guided = (arm_row(table, arm, "score", "site") for arm in _ARMS[:2])
    return (
        f"On {guided.patients} synthetic patients of sites that no network has seen, "
        f"guidance raises the share of relevance in the tumor from "
        f"{plain.estimate:.0%} to {guided.estimate:.0%}, and the AUC from "
        f"{auc['plain']:.2f} to {auc['power 1']:.2f}. The same masks reach "
        f"{auc['swapped']:.2f} without any relevance, by setting tumors into other "
        f"brains; an oracle that is shown the tumor alone reaches {auc['oracle']:.2f}."
    )


_ARMS = ("plain", "power 1", "swapped", "oracle")


def _cohort(rows: Sequence[Mapping[str, Any]], which: str = "all") -> pd.DataFrame:
    table = pd.DataFrame(rows)
    return table[table["cohort"] == which]


def _holds(claim: bool, words: str) -> None:
    if not claim:
        raise ClaimError(
            f"worth: the numbers do not carry any more that {words}; write anew what "
            "book_tools/cards/front.py says of them."
        )


def _map(worth: Mapping[str, Any]) -> str:
    """Guidance moves the map, in every cohort."""
    for cohort in sorted({row["cohort"] for row in worth["intervals"]}):
        row = arm_row(_cohort(worth["intervals"], cohort), "power 1", "score", "site")
        _holds(row.difference_low > 0.1, f"guidance moves the map in cohort {cohort}")
    table = _cohort(worth["intervals"])
    return (
        f"**Guidance moves the map.** On sites that no network has seen, the share of "
        f"positive relevance that lies in the tumor rises from "
        f"{estimate_text(table, 'plain', 'score', 'site')} to "
        f"{estimate_text(table, 'power 1', 'score', 'site')}, by "
        f"{difference_text(table, 'power 1', 'score', 'site')}."
    )


def _answers(worth: Mapping[str, Any]) -> str:
    """The answers follow part of the way; in one cohort, hardly."""
    table, rows = _cohort(worth["intervals"]), pd.DataFrame(worth["intervals"])
    guided, oracle = (arm_row(table, a, "auc", "site") for a in ("power 1", "oracle"))
    half = 0 < guided.difference < oracle.difference / 2
    _holds(half, "answers follow the map less than half of the way")
    of = (rows["arm"] == "power 1") & (rows["metric"] == "auc")
    of &= (rows["protocol"] == "site") & (rows["cohort"] != "all")
    worst = rows[of].set_index("cohort")["estimate"].idxmin()
    there = _cohort(worth["intervals"], worst)
    auc, bound = (arm_row(there, a, "auc", "site") for a in ("power 1", "oracle"))
    score = arm_row(there, "power 1", "score", "site")
    _holds(auc.high < bound.low, "in one cohort the answers stay behind")
    crossed = _cohort(worth["crossed"], worst)
    around, within = (
        arm_row(crossed, "power 1", f"by_scanner_{where}", "crossed")
        for where in ("around", "in_tumor")
    )
    _holds(around.low > 5 * within.estimate, "the scanner around the tumor decides")
    return (
        f"**A moved map is not a moved decision.** At the same computing the AUC on "
        f"these sites rises from {estimate_text(table, 'plain', 'auc', 'site')} to "
        f"{estimate_text(table, 'power 1', 'auc', 'site')}, by "
        f"{difference_text(table, 'power 1', 'auc', 'site')}: "
        f"{guided.difference / oracle.difference:.0%} of the way to an oracle that is "
        f"shown the tumor alone. In one of three cohorts it ends at "
        f"{auc.estimate:.2f}, where the oracle reaches {bound.estimate:.2f}: the map "
        f"lies in the tumor to {score.estimate:.0%}, and {around.estimate:.0%} of what "
        f"moves the answers is the scanner *around* it."
    )


def _masks(worth: Mapping[str, Any]) -> str:
    """The same masks, used without relevance, do more."""
    table = _cohort(worth["intervals"])
    swapped, guided = (
        arm_row(table, arm, "auc", "site") for arm in ("swapped", "power 1")
    )
    _holds(swapped.difference_low > 0, "swapped brains lift the AUC on new sites")
    _holds(swapped.p_corrected < 0.05, "they do so after correction")
    beside = _cohort(worth["against_guided"])
    more = arm_row(beside, "swapped", "auc", "site").difference_low > 0
    _holds(more and swapped.estimate > guided.estimate, "they do more than guidance")
    seen, score = (arm_row(table, a, "score", "site") for a in ("swapped", "power 1"))
    _holds(seen.estimate < score.estimate, "their score is lower")
    return (
        f"**The same masks do more without it.** Set the tumors of half a batch into "
        f"the brains of other patients, and leave relevance alone: the AUC is "
        f"{estimate_text(table, 'swapped', 'auc', 'site')}, "
        f"{difference_text(table, 'swapped', 'auc', 'site')} above plain training and "
        f"{difference_text(beside, 'swapped', 'auc', 'site')} above guided, at a score "
        f"of {estimate_text(table, 'swapped', 'score', 'site')}. The higher "
        f"score is not the better network."
    )
