"""Arms of experiments compared: numbers with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrpbook_lib.explore.figures.alt import titled
from lrpbook_lib.explore.palette import SERIES, diverging

#: The protocols of the book, by the name that tables give to them.
PROTOCOLS = {
    "patients": "held-out patients",
    "site": "held-out sites",
    "twins": "counterfactual twins",
}


def arms_figure(
    table: pd.DataFrame,
    metrics: Mapping[str, float | str | None],
    title: str,
    arms: Sequence[str] | None = None,
) -> go.Figure:
    """Each arm's metrics as dots with intervals, a panel a metric.

    Parameters
    ----------
    table : DataFrame
        Rows ``arm``, ``metric``, ``protocol``, ``estimate``, ``low``, ``high``.
    metrics : mapping of str to float, str or None
        Metrics to show, each with its chance level: a number, or the metric that holds
        it, or None for none.
    title : str
    arms : sequence of str, optional
        Which arms, from top to bottom; default all.
    """
    arms = list(arms) if arms is not None else list(dict.fromkeys(table["arm"]))
    fig = make_subplots(
        cols=len(metrics),
        shared_yaxes=True,
        horizontal_spacing=0.05,
        subplot_titles=[name.replace("_", " ") for name in metrics],
    )
    told, named = [], set[str]()
    for col, (metric, chance) in enumerate(metrics.items(), 1):
        rows = table[table["metric"] == metric]
        for nth, (protocol, name) in enumerate(PROTOCOLS.items()):
            part = rows[rows["protocol"] == protocol].set_index("arm")
            part = part.reindex([arm for arm in arms if arm in part.index])
            if part.empty:
                continue
            x = part["estimate"]
            symbol = ("circle", "diamond-open", "square")[nth]
            fig.add_scatter(
                x=x,
                y=part.index,
                error_x={"array": part["high"] - x, "arrayminus": x - part["low"]},
                mode="markers",
                orientation="h",  # so that the two protocols stand one below the other
                offsetgroup=name,
                name=name,
                legendgroup=name,
                showlegend=name not in named,
                marker={"color": SERIES[nth], "size": 9, "symbol": symbol},
                hovertemplate="%{y}: %{x:.2f}",
                row=1,
                col=col,
            )
            named.add(name)
            numbers = ", ".join(f"{arm} {value:.2f}" for arm, value in x.items())
            told.append(f"{metric} {name}: {numbers}")
        if isinstance(chance, str):
            chance = float(table.loc[table["metric"] == chance, "estimate"].mean())
        if chance is not None:
            fig.add_vline(x=chance, line_dash="dash", line_color="gray", row=1, col=col)
    # Half a row of room above and below: no marker is cut off.
    rows_shown = [-0.5, len(arms) - 0.5]
    fig.update_yaxes(categoryorder="array", categoryarray=arms[::-1], range=rows_shown)
    return titled(
        fig,
        title,
        "; ".join(told) + ". Dashed: chance.",
        legend=-0.18,
        height=170 + 34 * len(arms),
        scattermode="group",
    )


def arms_table(
    table: pd.DataFrame, metrics: Sequence[str] | Mapping[str, str], protocol: str
) -> pd.DataFrame:
    """Each arm's metrics with their intervals, to be read.

    Parameters
    ----------
    table : DataFrame
        As for :func:`arms_figure`.
    metrics : sequence of str, or mapping of str to str
        Which, or each with the words above its column.
    protocol : {"patients", "site", "twins"}

    Returns
    -------
    DataFrame
        A row an arm, a column a metric: "0.79 [0.70, 0.86]", and a dash for what is
        not told, as scores without masks.
    """
    part = table[table["protocol"] == protocol]
    text = [
        "–"
        if pd.isna(row.estimate)
        else f"{row.estimate:.2f} [{row.low:.2f}, {row.high:.2f}]"
        for row in part.itertuples()
    ]
    wide = part.assign(text=text).pivot_table(
        index="arm", columns="metric", values="text", aggfunc="first", sort=False
    )
    wide = wide[list(metrics)].rename_axis(None).rename_axis(None, axis=1)
    return wide.rename(columns=metrics) if isinstance(metrics, Mapping) else wide


def arm_row(table: pd.DataFrame, arm: str, metric: str, protocol: str) -> pd.Series:
    """The one row of a table that tells of a metric of an arm under a protocol."""
    asked = {"arm": arm, "metric": metric, "protocol": protocol}
    found = table[(table[list(asked)] == pd.Series(asked)).all(axis=1)]
    if len(found) != 1:
        words = ", ".join(asked.values())
        raise KeyError(f"One row is wanted of {words}; the table has {len(found)}.")
    return found.iloc[0]


def estimate_text(table: pd.DataFrame, arm: str, metric: str, protocol: str) -> str:
    """A metric of an arm with its interval: "0.88 [0.85, 0.91]"."""
    row = arm_row(table, arm, metric, protocol)
    return f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def difference_text(table: pd.DataFrame, arm: str, metric: str, protocol: str) -> str:
    """How an arm differs from the one it is compared with: "+0.06 [0.00, +0.15]"."""
    row = arm_row(table, arm, metric, protocol)
    low, high = row["difference_low"], row["difference_high"]
    return f"{row['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"


def networks_figure(
    table: pd.DataFrame, x: str, y: str, title: str, chance: float = 0.5
) -> go.Figure:
    """Every trained network as a dot, one of its numbers against another.

    Parameters
    ----------
    table : DataFrame
        A row a network: ``arm``, ``seed``, the columns ``x`` and ``y``, and ``cohort``
        where there are several.
    x, y : str
    title : str
    chance : float
        Of ``y``: a dashed line.
    """
    fig, told = go.Figure(), []
    for nth, (arm, mine) in enumerate(table.groupby("arm", sort=False)):
        who = [
            ", ".join(f"{k} {row[k]}" for k in ("cohort", "seed") if k in mine)
            for _, row in mine.iterrows()
        ]
        fig.add_scatter(
            x=mine[x],
            y=mine[y],
            text=who,
            mode="markers",
            name=str(arm),
            marker={
                "size": 11,
                "symbol": ("circle", "diamond", "square", "x", "cross")[nth % 5],
                "color": SERIES[nth % len(SERIES)],
                "opacity": 0.8,
            },
            hovertemplate="%{text}: %{x:.2f}, %{y:.2f}",
        )
        low, high = mine[y].min(), mine[y].max()
        told.append(f"{arm}: {x} {mine[x].mean():.2f}, {y} {low:.2f} to {high:.2f}")
    fig.add_hline(y=chance, line_dash="dash", line_color="gray")
    return titled(
        fig,
        title,
        "; ".join(told) + ". Dashed: chance.",
        legend=-0.2,
        height=460,
        xaxis_title=x.replace("_", " "),
        yaxis_title=y.replace("_", " "),
    )


def knobs_figure(
    table: pd.DataFrame, x: str, y: str, value: str, title: str
) -> go.Figure:
    """A number over two knobs, as a map around zero with the numbers and intervals.

    Parameters
    ----------
    table : DataFrame
        A row a pair of knobs: columns ``x``, ``y``, ``value``, and ``value_low`` and
        ``value_high``.
    x, y, value : str
    title : str
    """
    words = [
        f"{m:+.2f}<br>[{low:+.2f}, {high:+.2f}]"
        for m, low, high in table[[value, f"{value}_low", f"{value}_high"]].to_numpy()
    ]
    grid, text = (
        each.pivot_table(index=y, columns=x, values=value, aggfunc="first")
        for each in (table, table.assign(**{value: words}))
    )
    limit = float(np.abs(grid.to_numpy()).max())
    fig = go.Figure(
        go.Heatmap(
            z=grid.to_numpy(),
            x=[f"{c:g}" for c in grid.columns],
            y=[f"{r:g}" for r in grid.index],
            text=text.to_numpy(),
            texttemplate="%{text}",
            colorscale=diverging(),
            zmin=-limit,
            zmax=limit,
            hovertemplate=f"{x} %{{x}}, {y} %{{y}}: %{{z:.2f}}<extra></extra>",
        )
    )
    told = (
        f"{x} {row[x]:g}, {y} {row[y]:g}: {row[value]:+.2f}"
        for _, row in table.iterrows()
    )
    alt = "; ".join(told) + "."
    return titled(fig, title, alt, height=420, xaxis_title=x, yaxis_title=y)
