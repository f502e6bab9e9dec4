"""Lines of experiments: histories epoch by epoch, and losses over their strengths."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrpbook_lib.explore.figures.alt import titled
from lrpbook_lib.explore.palette import SERIES


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


def front_figure(
    table: pd.DataFrame, x: str, y: str, protocol: str, title: str
) -> go.Figure:
    """Losses over their strengths, one metric against another, and the Pareto front.

    Parameters
    ----------
    table : DataFrame
        As for :func:`~lrpbook_lib.explore.arms_figure`; an arm "name strength" belongs
        to the loss "name".
    x, y : str
        Metrics of which more is better.
    protocol : {"patients", "site"}
    title : str
    """
    part = table[table["protocol"] == protocol]
    wide = part.pivot_table(index="arm", columns="metric", values="estimate")
    wide = wide.loc[list(dict.fromkeys(part["arm"]))]  # in their own order
    fig = go.Figure()
    by_loss = wide.groupby(lambda arm: arm.rsplit(" ", 1)[0], sort=False)
    for nth, (loss, mine) in enumerate(by_loss):
        fig.add_scatter(
            x=mine[x],
            y=mine[y],
            text=mine.index,
            mode="lines+markers",
            name=str(loss),
            line={"width": 1, "color": SERIES[nth % len(SERIES)]},
            marker={"size": 10, "symbol": nth},
            hovertemplate="%{text}: %{x:.2f}, %{y:.2f}",
        )
    best = wide.iloc[pareto_front(wide[[x, y]].to_numpy())].sort_values(x)
    fig.add_scatter(
        x=best[x],
        y=best[y],
        mode="lines",
        name="Pareto front",
        line={"dash": "dot", "color": "gray"},
        hoverinfo="skip",
    )
    return titled(
        fig,
        title,
        f"On the front: {', '.join(best.index)}.",
        legend=-0.2,
        height=520,
        xaxis_title=x.replace("_", " "),
        yaxis_title=y.replace("_", " "),
    )


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Rows of ``(N, 2)`` that no other row beats in one column and equals in the other.

    Returns
    -------
    ndarray of int
        Positions, ascending.
    """
    beats = [(points >= point).all(1) & (points > point).any(1) for point in points]
    return np.array([i for i, by in enumerate(beats) if not by.any()], dtype=int)
