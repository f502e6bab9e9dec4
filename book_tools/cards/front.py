"""What front page and README say was found: written from the result, or not at all.

Each sentence has its condition beside it. If the numbers move away from what is said,
there is no text, and the book does not build.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lrpbook_lib.explore import arm_row, difference_text, estimate_text

#: A network's map lies on the tumor if more than this share of its relevance does.
ON_TUMOR = 0.7


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
        for number, finding in enumerate((_early, _late, _reason), 1)
    )


def in_short(worth: Mapping[str, Any]) -> str:
    """The first finding in a sentence, for the README."""
    table = _cohort(worth["intervals"])
    _early(worth)  # says whether it holds
    auc = {arm: arm_row(table, arm, "auc", "site").estimate for arm in _ARMS}
    return (
        f"On {arm_row(table, 'plain', 'auc', 'site').patients} synthetic patients of "
        f"sites that no network has seen, the AUC is {auc['plain']:.2f} after plain "
        f"training, {auc['power 1']:.2f} after guided training of the same computing, "
        f"and {auc['oracle']:.2f} for an oracle that is shown the tumor alone."
    )


_ARMS = ("plain", "power 1", "oracle")


def _cohort(rows: Sequence[Mapping[str, Any]], which: str = "all") -> pd.DataFrame:
    table = pd.DataFrame(rows)
    return table[table["cohort"] == which]


def _holds(claim: bool, words: str) -> None:
    if not claim:
        raise ClaimError(
            f"worth: the numbers do not carry any more that {words}; write anew what "
            "book_tools/cards/front.py says of them."
        )


def _early(worth: Mapping[str, Any]) -> str:
    """Guidance that begins early carries over to new sites."""
    table = _cohort(worth["intervals"])
    guided, oracle = (arm_row(table, arm, "auc", "site") for arm in _ARMS[1:])
    _holds(guided.difference_low > 0, "guidance lifts the AUC on new sites")
    _holds(guided.p_corrected < 0.05, "it does so after correction")
    _holds(guided.estimate < oracle.estimate, "the oracle is out of reach")
    plain, early, bound = (estimate_text(table, a, "auc", "site") for a in _ARMS)
    return (
        f"**Guided early, a network carries over.** On sites that no network has seen, "
        f"plain training reaches an AUC of {plain}, guided training of the same "
        f"computing {early}: {difference_text(table, 'power 1', 'auc', 'site')}, "
        f"{guided.difference / oracle.difference:.0%} of the way to an oracle that is "
        f"shown the tumor alone, at {bound}."
    )


def _late(worth: Mapping[str, Any]) -> str:
    """Guidance that begins late moves the map, not the answers: in the first cohort."""
    table = _cohort(worth["intervals"], "1")
    found = {
        (arm, metric): arm_row(table, arm, metric, "site")
        for arm in ("power 1", "power 1, late")
        for metric in ("auc", "score")
    }
    late, early = (found[arm, "auc"] for arm in ("power 1, late", "power 1"))
    most = found["power 1", "score"].difference / 2
    _holds(
        found["power 1, late", "score"].difference > most, "late guidance moves maps"
    )
    _holds(late.difference_high < early.difference_low, "early guidance does more")
    score, auc = (
        difference_text(table, "power 1, late", metric, "site")
        for metric in ("score", "auc")
    )
    return (
        f"**Guided late, it paints another picture.** Begun when three tenths of the "
        f"training are over, guidance still moves the share of relevance in the tumor "
        f"by {score}, but the AUC only by {auc}; begun early, in the same cohort, by "
        f"{difference_text(table, 'power 1', 'auc', 'site')}."
    )


def _reason(worth: Mapping[str, Any]) -> str:
    """Counterfactual twins tell networks apart whose maps look alike."""
    twins, dots = _cohort(worth["twins"]), pd.DataFrame(worth["networks"])
    grade, scanner = (
        arm_row(twins, "power 1", share, "twins")
        for share in ("by_grade", "by_scanner")
    )
    _holds(grade.difference_low > 0, "guided networks follow the tumor more")
    _holds(scanner.difference_high < 0, "guided networks follow the scanner less")
    on_tumor = dots[dots["arm"].str.startswith("power 1") & (dots["score"] > ON_TUMOR)]
    auc = on_tumor["auc_against_scanner"]
    plain = dots[dots["arm"] == "plain"]["auc_against_scanner"].median()
    _holds(auc.min() < plain < auc.max(), "a map on the tumor does not tell the reason")
    before = [row.estimate - row.difference for row in (grade, scanner)]
    return (
        f"**The picture does not say which.** Draw one person with a tumor of either "
        f"grade, on every scanner, and watch the answer: {before[0]:.0%} of its "
        f"variance goes by the grade and {before[1]:.0%} by the scanner in plain "
        f"networks, {grade.estimate:.0%} and {scanner.estimate:.0%} in guided ones. "
        f"But of {len(auc)} guided networks whose map lies on the tumor, the worst "
        f"tells grades against the scanner with an AUC of {auc.min():.2f}, the best "
        f"of {auc.max():.2f}."
    )
