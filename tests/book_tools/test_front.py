"""The front page says what the result says, and nothing once the result does not."""

from copy import deepcopy

import pytest

from book_tools.cards import ClaimError, findings, in_short

AUC = {
    "plain": (0.71, 0.66, 0.75),
    "power 1": (0.87, 0.84, 0.9),
    "power 1, late": (0.73, 0.68, 0.77),
    "oracle": (0.91, 0.89, 0.93),
}
SCORE = {"plain": 0.3, "power 1": 0.85, "power 1, late": 0.75, "oracle": 0.95}


def row(arm, metric, value, low, high, base, **more):
    """Of an arm against another that has the value ``base``, give or take 0.04."""
    gap = {} if arm == "plain" else {"difference": value - base, "p_corrected": 0.01}
    gap |= {
        f"difference_{end}": value - base + side
        for end, side in (("low", -0.04), ("high", 0.04))
        if gap
    }
    told = {"estimate": value, "low": low, "high": high, "patients": 558}
    return {"arm": arm, "metric": metric, "protocol": "site"} | told | gap | more


def result():
    """As small as a result can be that carries all three findings."""
    every = [row(arm, "auc", *v, AUC["plain"][0]) for arm, v in AUC.items()]
    every += [row(arm, "score", v, v, v, SCORE["plain"]) for arm, v in SCORE.items()]
    alone = [each | {"cohort": "1", "estimate": 0.123} for each in every]
    every = [each for each in every if each["arm"] != "power 1, late"]
    twins = [
        row("power 1", name, value, value, value, base, protocol="twins", cohort="all")
        for name, value, base in (("by_grade", 0.62, 0.3), ("by_scanner", 0.05, 0.28))
    ]
    networks = [
        {"arm": arm, "score": score, "auc_against_scanner": auc}
        for arm, score, auc in (
            ("plain", 0.3, 0.6),
            ("plain", 0.3, 0.65),
            ("power 1", 0.9, 0.93),
            ("power 1, late", 0.8, 0.41),
            ("power 1, late", 0.6, 0.2),  # its map is elsewhere: it does not count
            ("oracle", 0.9, 0.99),
        )
    ]
    intervals = [*alone, *(each | {"cohort": "all"} for each in every)]
    return {"intervals": intervals, "twins": twins, "networks": networks}


def change(of, arm, metric, **to):
    """The result with another number in the rows of an arm and metric."""
    changed = deepcopy(of)
    for table in ("intervals", "twins"):
        for each in changed[table]:
            if (each["arm"], each["metric"]) == (arm, metric):
                each.update(to)
    return changed


def test_findings_are_those_of_all_cohorts():
    first, second, third = findings(result()).splitlines()
    assert "an AUC of 0.71 [0.66, 0.75], guided" in first
    assert "0.87 [0.84, 0.90]: +0.16 [+0.12, +0.20], 80% of the way" in first
    assert "at 0.91 [0.89, 0.93]" in first
    assert "by +0.45 [+0.41, +0.49], but the AUC only by +0.02 [-0.02, +0.06]" in second
    assert "in the same cohort, by +0.16 [+0.12, +0.20]" in second
    assert "30% of its variance goes by the grade and 28% by the scanner" in third
    assert "62% and 5% in guided ones" in third
    assert "of 2 guided networks" in third
    assert "AUC of 0.41, the best of 0.93" in third
    assert "0.123" not in first + second + third
    told = in_short(result())
    assert "On 558 synthetic patients" in told
    assert "0.71 after plain training, 0.87 after guided" in told
    assert "0.91 for an oracle" in told


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (("power 1", "auc", {"difference_low": -0.01}), "guidance lifts the AUC"),
        (("power 1", "auc", {"p_corrected": 0.2}), "after correction"),
        (("oracle", "auc", {"estimate": 0.8}), "the oracle is out of reach"),
        (("power 1, late", "auc", {"difference_high": 0.13}), "early guidance does"),
        (("power 1, late", "score", {"difference": 0.1}), "late guidance moves maps"),
        (("power 1", "by_scanner", {"difference_high": 0.1}), "the scanner less"),
    ],
)
def test_a_claim_that_the_numbers_do_not_carry_is_not_made(broken, said):
    arm, metric, to = broken
    with pytest.raises(ClaimError, match=said):
        findings(change(result(), arm, metric, **to))


def test_networks_that_all_follow_the_tumor_make_no_counterexample():
    found = result()
    found["networks"] = [n for n in found["networks"] if n["auc_against_scanner"] > 0.5]
    with pytest.raises(ClaimError, match="does not tell the reason"):
        findings(found)
