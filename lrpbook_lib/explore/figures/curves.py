"""Lines of experiments: histories epoch by epoch, and losses over their strengths."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrpbook_lib.explore.figures.alt import titled
from lrpbook_lib.explore.palette import MANY, SERIES


def curves_figure(
    history: pd.DataFrame,
    columns: Mapping[str, str],
    title: str,
    chance: Mapping[str, float] | None = None,
) -> go.Figure:
    """Columns of histories by epoch: the mean over seeds, and the range as a band.

    Parameters
    ----------
    history : DataFrame
        Rows with ``arm``, ``epoch`` and the columns; several rows an epoch are seeds.
        Where no arm has several there are no bands.
    columns : mapping of str to str
        Column to the title of its panel.
    title : str
    chance : mapping of str to float, optional
        Column to its chance level.
    """
    fig = make_subplots(cols=len(columns), subplot_titles=list(columns.values()))
    told = []
    several = bool(history.duplicated(["arm", "epoch"]).any())
    for col, (column, words) in enumerate(columns.items(), 1):
        for nth, (arm, rows) in enumerate(history.groupby("arm", sort=False)):
            by_epoch = rows.groupby("epoch")[column]
            low, mean, high = by_epoch.min(), by_epoch.mean(), by_epoch.max()
            color = SERIES[nth % len(SERIES)]
            band = go.Scatter(
                x=[*mean.index, *mean.index[::-1]],
                y=[*high, *low[::-1]],
                fill="toself",
                fillcolor=color,
                opacity=0.18,
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=str(arm),
            )
            line = go.Scatter(
                x=mean.index,
                y=mean,
                name=str(arm),
                legendgroup=str(arm),
                showlegend=col == 1,
                line={"color": color},
                hovertemplate="epoch %{x}: %{y:.2f}",
            )
            for trace in (band, line) if several else (line,):
                fig.add_trace(trace, row=1, col=col)
            told.append(f"{words}, {arm}: ends at {mean.iloc[-1]:.2f}")
        if chance and column in chance:
            level = chance[column]
            fig.add_hline(y=level, line_dash="dash", line_color="gray", row=1, col=col)
        fig.update_xaxes(title="epoch", row=1, col=col)
    spread = " Bands: range over seeds." if several else ""
    alt = "; ".join(told) + "." + spread
    return titled(fig, title, alt, legend=-0.25, height=380)


def trend_figure(
    table: pd.DataFrame,
    x: str,
    line: str,
    panels: Mapping[tuple[str, str], str],
    title: str,
    chance: Mapping[tuple[str, str], float] | None = None,
) -> go.Figure:
    """Metrics over what was changed step by step, with intervals, a panel a metric.

    Parameters
    ----------
    table : DataFrame
        As for :func:`~lrpbook_lib.explore.arms_figure`, with the columns ``x`` and
        ``line``.
    x : str
        The column of the steps, which stand side by side in the order of the table.
    line : str
        The column that tells lines apart.
    panels : mapping of (str, str) to str
        Metric and protocol, to the title of the panel.
    title : str
    chance : mapping of (str, str) to float, optional
        Chance levels of panels.
    """
    fig = make_subplots(cols=len(panels), subplot_titles=list(panels.values()))
    steps = [str(step) for step in dict.fromkeys(table[x])]
    lines = list(dict.fromkeys(table[line]))
    told = []
    for col, (panel, words) in enumerate(panels.items(), 1):
        shown = table[(table["metric"] == panel[0]) & (table["protocol"] == panel[1])]
        for nth, name in enumerate(lines):
            mine = shown[shown[line] == name]
            at, value = mine[x].astype(str), mine["estimate"]
            fig.add_scatter(
                x=at,
                y=value,
                error_y=_interval(mine),
                name=str(name),
                legendgroup=str(name),
                showlegend=col == 1 and len(lines) > 1,
                line={"color": SERIES[nth % len(SERIES)]},
                marker={"size": 8, "symbol": nth},
                hovertemplate="%{x}: %{y:.2f}",
                row=1,
                col=col,
            )
            pairs = zip(at, value, strict=True)
            numbers = ", ".join(f"{step} {number:.2f}" for step, number in pairs)
            told.append(f"{words}, {name}: {numbers}")
        ends = [shown["low"].min(), shown["high"].max()]
        if chance and panel in chance:
            ends.append(chance[panel])
            dashed = {"line_dash": "dash", "line_color": "gray"}
            fig.add_hline(y=chance[panel], **dashed, row=1, col=col)
        fig.update_yaxes(range=[min(ends) - 0.03, max(ends) + 0.03], row=1, col=col)
    fig.update_xaxes(
        type="category", categoryorder="array", categoryarray=steps, title=x
    )
    alt = "; ".join(told) + "."
    # Side by side, so that no interval hides another.
    return titled(fig, title, alt, legend=-0.25, height=400, scattermode="group")


def front_figure(
    table: pd.DataFrame, x: str, y: str, protocol: str, title: str
) -> go.Figure:
    """Losses over their strengths, one metric against another, and the Pareto front.

    Parameters
    ----------
    table : DataFrame
        As for :func:`~lrpbook_lib.explore.arms_figure`; an arm "name strength" belongs
        to the loss "name". An arm of one word is no loss with a strength, and black.
    x, y : str
        Metrics of which more is better.
    protocol : {"patients", "site"}
    title : str
    """
    part = table[table["protocol"] == protocol]
    order = list(dict.fromkeys(part["arm"]))
    by_metric = {
        metric: rows.set_index("arm") for metric, rows in part.groupby("metric")
    }
    across, up = (by_metric[metric].loc[order] for metric in (x, y))
    losses: dict[str, list[str]] = {}
    for arm in order:
        losses.setdefault(arm.rpartition(" ")[0], []).append(arm)
    fig, colors = go.Figure(), cycle(MANY)
    for nth, (loss, arms) in enumerate(losses.items()):
        color = next(colors) if loss else "#000000"
        fig.add_scatter(
            x=across.loc[arms, "estimate"],
            y=up.loc[arms, "estimate"],
            error_x=_interval(across.loc[arms], color),
            error_y=_interval(up.loc[arms], color),
            text=[arm.rpartition(" ")[2] for arm in arms],
            textposition="top right",
            mode="lines+markers+text",
            name=loss or ", ".join(arms),
            line={"width": 1, "color": color},
            marker={"size": 10, "symbol": nth},
            hovertemplate="%{text}: %{x:.2f}, %{y:.2f}",
        )
    points = np.stack([across["estimate"], up["estimate"]], axis=1)
    best = sorted((order[i] for i in pareto_front(points)), key=across["estimate"].get)
    fig.add_scatter(
        x=across.loc[best, "estimate"],
        y=up.loc[best, "estimate"],
        mode="lines",
        name="Pareto front",
        line={"dash": "dot", "color": "gray"},
        hoverinfo="skip",
    )
    return titled(
        fig,
        title,
        f"On the front: {', '.join(best)}.",
        legend=-0.2,
        height=560,
        xaxis_title=x.replace("_", " "),
        yaxis_title=y.replace("_", " "),
    )


def _interval(rows: pd.DataFrame, color: str | None = None) -> dict[str, Any]:
    """Error bars for plotly from the columns of a comparison; pale where colored."""
    value = rows["estimate"]
    above, below = rows["high"] - value, value - rows["low"]
    bars: dict[str, Any] = {"array": above, "arrayminus": below, "thickness": 1}
    if color is not None:
        red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
        bars |= {"color": f"rgba({red}, {green}, {blue}, 0.3)", "width": 0}
    return bars


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Rows of ``(N, 2)`` that no other row beats in one column and equals in the other.

    Returns
    -------
    ndarray of int
        Positions, ascending.
    """
    beats = [(points >= point).all(1) & (points > point).any(1) for point in points]
    return np.array([i for i, by in enumerate(beats) if not by.any()], dtype=int)
