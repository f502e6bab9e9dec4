"""Figures of experiments say what the tables say."""

import numpy as np
import pandas as pd
import pytest

from lrpbook_lib.explore import (
    arm_row,
    arms_figure,
    arms_table,
    causes_figure,
    curves_figure,
    difference_text,
    estimate_text,
    front_figure,
    knobs_figure,
    matrix_figure,
    networks_figure,
    trend_figure,
)
from lrpbook_lib.explore.figures.curves import pareto_front


def results(values, metric="auc", protocol="patients"):
    """Rows of a comparison: estimates with an interval of 0.1 below, 0.2 above."""
    return pd.DataFrame(
        {
            "arm": arm,
            "metric": metric,
            "protocol": protocol,
            "estimate": value,
            "low": value - 0.1,
            "high": value + 0.2,
        }
        for arm, value in values.items()
    )


def lines(fig, dash):
    """Where lines of the whole height or width of a panel stand."""
    return [
        (shape.x0, shape.y0, shape.xref)
        for shape in fig.layout.shapes
        if shape.line.dash == dash
    ]


def test_what_is_not_told_is_a_dash():
    told = results({"plain": 0.7, "guided": 0.6})
    untold = results({"plain": np.nan, "guided": 0.2}, "score")
    # As read from a file.
    table = pd.DataFrame(pd.concat([told, untold]).replace({np.nan: None}))
    shown = arms_table(table, ["auc", "score"], "patients")
    assert shown.loc["plain"].tolist() == ["0.70 [0.60, 0.90]", "–"]
    assert shown.loc["guided", "score"] == "0.20 [0.10, 0.40]"


def test_an_arm_is_a_dot_with_its_interval_in_the_panel_of_its_metric():
    table = pd.concat(
        [
            results({"plain": 0.7, "guided": 0.6}),
            results({"plain": 0.5, "guided": 0.4}, protocol="site"),
            results({"plain": 0.2, "guided": 0.7}, "score"),
            results({"plain": 0.1, "guided": 0.15}, "chance"),
        ]
    )
    fig = arms_figure(table, {"auc": 0.5, "score": "chance"}, "Two arms")
    auc, site, score = fig.data
    assert list(auc.x) == [0.7, 0.6]
    assert list(auc.y) == ["plain", "guided"]
    assert np.allclose(auc.error_x.array, 0.2)
    assert np.allclose(auc.error_x.arrayminus, 0.1)
    assert list(site.x) == [0.5, 0.4]
    assert (auc.xaxis, site.xaxis, score.xaxis) == ("x", "x", "x2")
    assert [trace.showlegend for trace in fig.data] == [True, True, False]
    # Chance: a number, or the mean over arms of the metric that holds it.
    assert [(x, ref) for x, _, ref in lines(fig, "dash")] == [
        (0.5, "x"),
        (0.125, "x2"),
    ]
    assert "score held-out patients: plain 0.20, guided 0.70" in fig.layout.meta["alt"]


def test_a_row_is_told_with_its_interval_and_two_of_one_name_are_refused():
    table = pd.concat([results({"plain": 0.7}), results({"plain": 0.4}, "score")])
    table = table.assign(difference=0.05, difference_low=-0.1, difference_high=0.2)
    assert arm_row(table, "plain", "score", "patients").estimate == 0.4
    assert estimate_text(table, "plain", "auc", "patients") == "0.70 [0.60, 0.90]"
    told = difference_text(table, "plain", "auc", "patients")
    assert told == "+0.05 [-0.10, +0.20]"
    wide = arms_table(table, {"score": "tumor score", "auc": "AUC"}, "patients")
    assert wide.loc["plain"].to_dict() == {
        "tumor score": "0.40 [0.30, 0.60]",
        "AUC": "0.70 [0.60, 0.90]",
    }
    with pytest.raises(KeyError, match="plain, auc, site; the table has 0"):
        arm_row(table, "plain", "auc", "site")
    with pytest.raises(KeyError, match="the table has 2"):
        estimate_text(pd.concat([table, table]), "plain", "auc", "patients")


def test_a_protocol_of_the_second_panel_alone_is_named_too():
    table = pd.concat([results({"a": 0.1}), results({"a": 0.3}, "score", "twins")])
    auc, score = arms_figure(table, {"auc": None, "score": None}, "Two").data
    assert auc.showlegend and score.showlegend
    assert score.name == "counterfactual twins"


def test_arms_stand_in_the_order_asked_for_and_those_without_a_metric_are_left_out():
    table = pd.concat(
        [results({"a": 0.1, "b": 0.2, "c": 0.3}), results({"a": 0.9}, "score")]
    )
    fig = arms_figure(table, {"auc": None, "score": None}, "Order", ["c", "a"])
    auc, score = fig.data
    assert list(auc.y) == ["c", "a"]
    assert list(score.y) == ["a"]
    # Categories count from below, readers from above.
    assert fig.layout.yaxis.categoryarray == ("a", "c")
    assert not lines(fig, "dash")


def several_seeds():
    return pd.DataFrame(
        [("plain", s, e, 0.1 * e + 0.02 * s) for s in range(3) for e in range(4)]
        + [("guided", s, e, 0.5) for s in range(3) for e in range(4)],
        columns=["arm", "seed", "epoch", "auc"],
    )


def test_curves_are_means_over_seeds_inside_bands_of_their_range():
    fig = curves_figure(several_seeds(), {"auc": "AUC"}, "Curves", {"auc": 0.5})
    band, line, _, other = fig.data
    assert np.allclose(line.x, range(4))
    assert np.allclose(line.y, [0.02, 0.12, 0.22, 0.32])  # of the middle seed
    assert np.allclose(band.y[:4], [0.04, 0.14, 0.24, 0.34])
    assert np.allclose(band.y[4:], [0.3, 0.2, 0.1, 0.0])  # and back
    assert (line.name, other.name) == ("plain", "guided")
    assert [y for _, y, _ in lines(fig, "dash")] == [0.5]
    alt = fig.layout.meta["alt"]
    assert "AUC, plain: ends at 0.32" in alt
    assert alt.endswith("Bands: range over seeds.")


def test_one_run_has_no_band_and_no_text_of_one():
    one = several_seeds().query("seed == 1")
    fig = curves_figure(one, {"auc": "AUC"}, "One run")
    assert [trace.name for trace in fig.data] == ["plain", "guided"]
    assert "Bands" not in fig.layout.meta["alt"]


def dominated(points):
    """Brute force: whether another point is no worse anywhere, and better somewhere."""
    return [
        any(
            all(b >= a for a, b in zip(p, q, strict=True)) and tuple(p) != tuple(q)
            for q in points
        )
        for p in points
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_nothing_dominates(seed):
    # Few values, so that ties and equal points occur.
    points = np.random.default_rng(seed).integers(0, 5, (12, 2)) / 4
    front = pareto_front(points)
    assert front.tolist() == [i for i, by in enumerate(dominated(points)) if not by]


def test_a_loss_is_one_line_over_its_strengths_and_the_front_runs_through_the_best():
    table = pd.concat(
        [
            results({"plain": 0.3, "L1 1": 0.5, "L1 10": 0.7, "LRP 1": 0.6}),
            results({"plain": 0.1, "L1 1": 0.9, "L1 10": 0.2, "LRP 1": 0.6}, "score"),
            results({"L1 1": 0.0}, protocol="site"),
        ]
    )
    fig = front_figure(table, "auc", "score", "patients", "Front")
    by_name = {trace.name: trace for trace in fig.data}
    assert list(by_name) == ["plain", "L1", "LRP", "Pareto front"]
    assert list(by_name["Pareto front"].x) == [0.5, 0.6, 0.7]
    assert "L1 1, LRP 1, L1 10" in fig.layout.meta["alt"]
    # Each dot has its strength beside it, and its intervals both ways.
    l1 = by_name["L1"]
    assert list(l1.text) == ["1", "10"] and "text" in l1.mode
    assert np.allclose(l1.error_x.array, 0.2)
    assert np.allclose(l1.error_y.arrayminus, 0.1)


def test_no_two_of_nine_losses_have_one_color():
    arms = {"plain": 0.5, **{f"L{n} {k}": 0.5 for n in range(9) for k in (1, 2)}}
    table = pd.concat([results(arms), results(arms, "score")])
    *losses, _ = front_figure(table, "auc", "score", "patients", "Every loss").data
    assert len({trace.line.color for trace in losses}) == len(losses) == 10
    assert len({trace.marker.symbol for trace in losses}) == len(losses)


def test_a_trend_has_a_panel_a_metric_and_keeps_the_order_of_its_steps():
    said = [("late", 0.3), ("never", 0.1), ("early", 0.9)]
    table = pd.concat(
        [
            results({arm: value}, metric, protocol).assign(start=arm, study="one")
            for metric, protocol in (("auc", "site"), ("score", "twins"))
            for arm, value in said
        ]
    )
    panels = {("auc", "site"): "AUC", ("score", "twins"): "score"}
    chance = {("auc", "site"): 0.5}
    fig = trend_figure(table, "start", "study", panels, "Trend", chance)
    auc, score = fig.data
    assert (
        list(auc.x)
        == list(fig.layout.xaxis.categoryarray)
        == ["late", "never", "early"]
    )
    assert list(auc.y) == [0.3, 0.1, 0.9]
    assert np.allclose(auc.error_y.array, 0.2)
    assert (auc.xaxis, score.xaxis) == ("x", "x2")
    assert not score.showlegend  # one entry a line
    low, high = fig.layout.yaxis.range
    assert low < 0 and high > 1.1  # every interval is inside
    assert [(y, ref) for _, y, ref in lines(fig, "dash")] == [(0.5, "x domain")]
    assert "AUC, one: late 0.30, never 0.10, early 0.90" in fig.layout.meta["alt"]


def test_a_map_over_two_knobs_puts_each_number_in_its_place():
    rows = [(d, c, 10 * d + c) for d in (0.2, 0.4) for c in (0.0, 0.5, 1.0)]
    table = pd.DataFrame(rows, columns=["difficulty", "confounding", "gain"])
    table["gain_low"], table["gain_high"] = table["gain"] - 1, table["gain"] + 1
    (heat,) = knobs_figure(table, "difficulty", "confounding", "gain", "Gain").data
    assert list(heat.x) == ["0.2", "0.4"]
    assert list(heat.y) == ["0", "0.5", "1"]
    assert heat.z[2][1] == pytest.approx(5.0)
    assert heat.text[2][1] == "+5.00<br>[+4.00, +6.00]"
    assert (heat.zmin, heat.zmax) == (-5, 5)  # white is zero


def test_every_network_is_a_dot_and_told():
    rows = [
        {"arm": arm, "cohort": c, "seed": s, "score": 0.1 * s, "auc": 0.5 + 0.1 * c}
        for arm in ("plain", "guided")
        for c in (1, 2)
        for s in range(5)
    ]
    fig = networks_figure(pd.DataFrame(rows), "score", "auc", "Networks")
    plain, guided = fig.data
    assert plain.name == "plain" and len(plain.x) == len(guided.x) == 10
    assert plain.text[7] == "cohort 2, seed 2" and plain.x[7] == pytest.approx(0.2)
    assert plain.marker.symbol != guided.marker.symbol
    (chance,) = fig.layout.shapes
    assert chance.y0 == chance.y1 == 0.5
    assert "guided: score 0.20, auc 0.60 to 0.70" in fig.layout.meta["alt"]


def test_causes_are_parts_of_a_whole_cohort_by_cohort():
    shares = {"by_grade": 0.5, "by_scanner_in_tumor": 0.1, "by_scanner_around": 0.2}
    shares |= {"by_person": 0.15, "by_rest": 0.05}
    rows = [
        {"arm": arm, "metric": m, "estimate": v, "cohort": cohort}
        for cohort in ("1", "2")
        for arm in ("plain", "guided")
        for m, v in shares.items()
    ]
    fig = causes_figure(pd.DataFrame(rows), "Causes", ["guided", "plain"])
    assert fig.layout.barmode == "stack" and len(fig.data) == 2 * 5
    np.testing.assert_allclose(sum(np.array(bar.x) for bar in fig.data[:5]), [1, 1])
    assert list(fig.data[0].y) == ["guided", "plain"]
    assert (
        "cohort 2, by the scanner around the tumor: guided 20%"
        in (fig.layout.meta["alt"])
    )


def test_a_matrix_tells_every_number():
    table = pd.DataFrame([[1.0, -0.5], [np.nan, 0.25]], ["a", "b"], ["c", "d"])
    fig = matrix_figure(table, "Agreement", (-1, 1))
    (heat,) = fig.data
    assert [list(row) for row in heat.text] == [["1.00", "-0.50"], ["", "0.25"]]
    assert fig.layout.yaxis.autorange == "reversed"  # the first row on top
    assert "a: c 1.00, d -0.50" in fig.layout.meta["alt"]
    positive = matrix_figure(table.abs(), "Score", (0, 1)).data[0]
    assert positive.colorscale[0][1] == "#FFFFFF"
