"""The model card says what the result says, and what it always has to say."""

import pytest

from book_tools.cards import model_card


def row(arm, metric, protocol, estimate, low=None, high=None, **more):
    return {
        "arm": arm,
        "metric": metric,
        "protocol": protocol,
        "estimate": estimate,
        "low": low,
        "high": high,
        **more,
    }


ROWS = [
    row("plain", "auc", "patients", 0.951, 0.902, 0.983),
    row("plain", "auc", "site", 0.604, 0.412, 0.771),
    row("plain", "brier", "site", 0.43, 0.4, 0.46),
    row("plain", "too_sure", "site", 0.08, 0.05, 0.11),
    row("plain", "score", "site", 0.213, 0.18, 0.25),
    row("plain", "chance", "site", 0.104),
    row("guided", "auc", "patients", 0.7, 0.61, 0.8),
    row("guided", "auc", "site", 0.66, 0.55, 0.8),
    row("guided", "score", "site", 0.75, 0.7, 0.8, chance=0.11),
    row("power 3", "auc", "site", 0.123, 0.1, 0.2),
]
ARMS = {"plain": "cross entropy", "guided": "with heatmaps"}


def test_numbers_intervals_and_chance_are_those_of_the_result():
    card = model_card(ROWS, ARMS, {"seconds": 7200, "runs": 20, "device": "cpu"})
    assert "| plain | random patients | AUC | 0.95 (0.90 to 0.98) | 0.50 |" in card
    assert (
        "| plain | held-out sites | tumor score | 0.21 (0.18 to 0.25) | 0.10 |" in card
    )
    assert (
        "| guided | held-out sites | tumor score | 0.75 (0.70 to 0.80) | 0.11 |" in card
    )
    assert (
        "| plain | held-out sites | Brier score | 0.43 (0.40 to 0.46) | 0.50 |" in card
    )
    assert "| plain | held-out sites | too sure by | 0.08 (0.05 to 0.11) | - |" in card
    assert "0.12" not in card  # an arm that was not asked for
    assert "79 % of its positive relevance lies outside" in card
    assert card.count("the interval includes chance") == 1
    assert "20 trainings" in card and "2.0 hours on a cpu" in card
    assert "0.13 kWh at an assumed 65 W" in card and "Not for clinical use" in card


def test_what_was_not_recorded_is_said():
    assert "Not recorded." in model_card(ROWS, ARMS)
    with pytest.raises(ValueError, match="no guyded; it has guided, plain"):
        model_card(ROWS, {"guyded": ""})
