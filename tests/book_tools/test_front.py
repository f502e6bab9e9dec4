"""The front page says what the result says, and nothing once the result does not."""

from copy import deepcopy

import pytest

from book_tools.cards import ClaimError, findings, in_short

AUC = {
    "plain": (0.71, 0.66, 0.75),
    "power 1": (0.77, 0.74, 0.81),
    "swapped": (0.9, 0.87, 0.93),
    "oracle": (0.91, 0.89, 0.93),
}
SCORE = {"plain": 0.3, "power 1": 0.85, "swapped": 0.6, "oracle": 0.9}


def row(arm, metric, value, low, high, base):
    """Of an arm against another that has the value ``base``, give or take 0.04."""
    gap = {} if arm == "plain" else {"difference": value - base, "p_corrected": 0.01}
    gap |= {
        f"difference_{end}": value - base + side
        for end, side in (("low", -0.04), ("high", 0.04))
        if gap
    }
    told = {"estimate": value, "low": low, "high": high, "patients": 558}
    return {"arm": arm, "metric": metric, "protocol": "site"} | told | gap


def result():
    """As small as a result can be that carries all three findings."""
    every = [row(arm, "auc", *v, AUC["plain"][0]) for arm, v in AUC.items()]
    every += [row(arm, "score", v, v, v, SCORE["plain"]) for arm, v in SCORE.items()]
    every = [
        each | {"cohort": cohort} for cohort in ("all", "1", "2") for each in every
    ]
    crossed = [
        row("power 1", f"by_scanner_{where}", share, share - 0.1, share + 0.1, 0.3)
        | {"protocol": "crossed", "cohort": "2"}
        for where, share in (("around", 0.58), ("in_tumor", 0.03))
    ]
    beside = row("swapped", "auc", *AUC["swapped"], AUC["power 1"][0])
    worth = {"intervals": every, "crossed": crossed}
    worth["against_guided"] = [beside | {"cohort": "all"}]
    return change(worth, "2", "power 1", "auc", estimate=0.62, high=0.68)


def change(of, cohort, arm, metric, **to):
    """The result with other numbers in one row."""
    changed = deepcopy(of)
    for each in [*changed["intervals"], *changed["crossed"]]:
        if (each["cohort"], each["arm"], each["metric"]) == (cohort, arm, metric):
            each.update(to)
    return changed


def test_findings_are_those_of_all_cohorts_and_of_the_worst():
    first, second, third = findings(result()).splitlines()
    assert (
        "from 0.30 [0.30, 0.30] to 0.85 [0.85, 0.85], by +0.55 [+0.51, +0.59]" in first
    )
    assert "0.71 [0.66, 0.75] to 0.77 [0.74, 0.81], by +0.06 [+0.02, +0.10]" in second
    assert "30% of the way" in second
    assert "it ends at 0.62, where the oracle reaches 0.91" in second
    assert "the tumor to 85%, and 58% of what moves the answers is" in second
    assert "the AUC is 0.90 [0.87, 0.93], +0.19 [+0.15, +0.23] above" in third
    assert "+0.13 [+0.09, +0.17] above guided" in third
    assert "a score of 0.60 [0.60, 0.60]" in third
    told = in_short(result())
    assert "On 558 synthetic patients" in told
    assert "relevance in the tumor from 30% to 85%" in told
    assert "AUC from 0.71 to 0.77" in told
    assert "reach 0.90 without any relevance" in told and "reaches 0.91" in told


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (("2", "power 1", "score", {"difference_low": 0.05}), "the map in cohort 2"),
        (("all", "power 1", "auc", {"difference": 0.15}), "less than half"),
        (("all", "power 1", "auc", {"difference": -0.01}), "less than half"),
        (("2", "oracle", "auc", {"low": 0.6}), "the answers stay behind"),
        (("2", "power 1", "by_scanner_around", {"low": 0.1}), "around the tumor"),
        (("all", "swapped", "auc", {"difference_low": -0.01}), "lift the AUC"),
        (("all", "swapped", "auc", {"p_corrected": 0.2}), "after correction"),
        (("all", "swapped", "auc", {"estimate": 0.7}), "more than guidance"),
        (("all", "swapped", "score", {"estimate": 0.95}), "their score is lower"),
    ],
)
def test_a_claim_that_the_numbers_do_not_carry_is_not_made(broken, said):
    *where, to = broken
    with pytest.raises(ClaimError, match=said):
        in_short(change(result(), *where, **to))
