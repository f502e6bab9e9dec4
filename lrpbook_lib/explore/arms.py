"""Figures of experiments: arms with intervals, curves with bands, fronts and maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

#: The two protocols of the book, by the name that predictions give to their part.
PROTOCOLS = {"patients": "held-out patients", "site": "held-out sites"}

#: Okabe and Ito's colors, told apart by readers of every color vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


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
    told = []
    for col, (metric, chance) in enumerate(metrics.items(), 1):
        rows = table[table["metric"] == metric]
        for nth, (protocol, name) in enumerate(PROTOCOLS.items()):
            part = rows[rows["protocol"] == protocol].set_index("arm")
            part = part.reindex([arm for arm in arms if arm in part.index])
            if part.empty:
                continue
            x = part["estimate"]
            dots = go.Scatter(
                x=x,
                y=part.index,
                error_x={"array": part["high"] - x, "arrayminus": x - part["low"]},
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=col == 1,
                marker={
                    "color": COLORS[nth],
                    "size": 9,
                    "symbol": ("circle", "diamond-open")[nth],
                },
                hovertemplate="%{y}: %{x:.2f}",
            )
            fig.add_trace(dots, row=1, col=col)
            told += [f"{metric} {name}: " + _told(part)]
        level = _chance(table, chance)
        if level is not None:
            fig.add_vline(x=level, line_dash="dash", line_color="gray", row=1, col=col)
    fig.update_yaxes(categoryorder="array", categoryarray=arms[::-1])
    fig.update_layout(
        title=title,
        height=170 + 34 * len(arms),
        scattermode="group",
        legend={"orientation": "h", "y": -0.18},
        margin={"l": 10, "r": 10},
        meta={"alt": f"{title}. " + "; ".join(told) + ". Dashed: chance."},
    )
    return fig


def arms_table(
    table: pd.DataFrame, metrics: Sequence[str], protocol: str
) -> pd.DataFrame:
    """Each arm's metrics with their intervals, to be read.

    Parameters
    ----------
    table : DataFrame
        As for :func:`arms_figure`.
    metrics : sequence of str
    protocol : {"patients", "site"}

    Returns
    -------
    DataFrame
        A row an arm, a column a metric: "0.79 [0.70, 0.86]".
    """
    part = table[table["protocol"] == protocol]
    text = [
        f"{row.estimate:.2f} [{row.low:.2f}, {row.high:.2f}]"
        for row in part.itertuples()
    ]
    wide = part.assign(text=text).pivot_table(
        index="arm", columns="metric", values="text", aggfunc="first", sort=False
    )
    return wide[list(metrics)].rename_axis(None).rename_axis(None, axis=1)


def difference_text(table: pd.DataFrame, arm: str, metric: str, protocol: str) -> str:
    """How an arm differs from the one it is compared with: "+0.06 [0.00, +0.15]"."""
    chosen = (
        (table["arm"] == arm)
        & (table["metric"] == metric)
        & (table["protocol"] == protocol)
    )
    row = table[chosen].iloc[0]
    low, high = row["difference_low"], row["difference_high"]
    return f"{row['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"


def _told(part: pd.DataFrame) -> str:
    return ", ".join(f"{arm} {row.estimate:.2f}" for arm, row in part.iterrows())


def _chance(table: pd.DataFrame, chance: float | str | None) -> float | None:
    if isinstance(chance, str):
        return float(table.loc[table["metric"] == chance, "estimate"].mean())
    return chance


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
    for col, column in enumerate(columns, 1):
        for nth, (arm, rows) in enumerate(history.groupby("arm", sort=False)):
            by_epoch = rows.groupby("epoch")[column]
            low, mean, high = by_epoch.min(), by_epoch.mean(), by_epoch.max()
            color = COLORS[nth % len(COLORS)]
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
            if several:
                fig.add_trace(band, row=1, col=col)
            fig.add_trace(line, row=1, col=col)
            told.append(f"{columns[column]}, {arm}: ends at {mean.iloc[-1]:.2f}")
        if chance and column in chance:
            fig.add_hline(
                y=chance[column], line_dash="dash", line_color="gray", row=1, col=col
            )
        fig.update_xaxes(title="epoch", row=1, col=col)
    spread = " Bands: range over seeds." if several else ""
    fig.update_layout(
        title=title,
        height=380,
        legend={"orientation": "h", "y": -0.25},
        margin={"l": 10, "r": 10},
        meta={"alt": f"{title}. " + "; ".join(told) + "." + spread},
    )
    return fig


def front_figure(
    table: pd.DataFrame, x: str, y: str, protocol: str, title: str
) -> go.Figure:
    """Losses over their strengths, one metric against another, and the Pareto front.

    Parameters
    ----------
    table : DataFrame
        As for :func:`arms_figure`; an arm "name strength" belongs to the loss "name".
    x, y : str
        Metrics of which more is better.
    protocol : {"patients", "site"}
    title : str
    """
    part = table[table["protocol"] == protocol]
    wide = part.pivot_table(index="arm", columns="metric", values="estimate")
    wide = wide.loc[list(dict.fromkeys(part["arm"]))]  # in their own order
    fig = go.Figure()
    for nth, (loss, mine) in enumerate(wide.groupby(_loss_of, sort=False)):
        dots = go.Scatter(
            x=mine[x],
            y=mine[y],
            text=mine.index,
            mode="lines+markers",
            name=str(loss),
            line={"width": 1, "color": COLORS[nth % len(COLORS)]},
            marker={"size": 10, "symbol": nth},
            hovertemplate="%{text}: %{x:.2f}, %{y:.2f}",
        )
        fig.add_trace(dots)
    front = pareto_front(wide[[x, y]].to_numpy())
    best = wide.iloc[front].sort_values(x)
    fig.add_trace(
        go.Scatter(
            x=best[x],
            y=best[y],
            mode="lines",
            name="Pareto front",
            line={"dash": "dot", "color": "gray"},
            hoverinfo="skip",
        )
    )
    fig.update_layout(
        title=title,
        height=520,
        legend={"orientation": "h", "y": -0.2},
        margin={"l": 10, "r": 10},
        xaxis_title=x.replace("_", " "),
        yaxis_title=y.replace("_", " "),
        meta={"alt": f"{title}. On the front: {', '.join(best.index)}."},
    )
    return fig


def _loss_of(arm: str) -> str:
    return arm.rsplit(" ", 1)[0]


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Rows of ``(N, 2)`` that no other row beats in one column and equals in the other.

    Returns
    -------
    ndarray of int
        Positions, ascending.
    """
    beats = [(points >= point).all(1) & (points > point).any(1) for point in points]
    return np.array([i for i, by in enumerate(beats) if not by.any()], dtype=int)


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
    grid = table.pivot_table(index=y, columns=x, values=value)
    low = table.pivot_table(index=y, columns=x, values=f"{value}_low")
    high = table.pivot_table(index=y, columns=x, values=f"{value}_high")
    words = [
        [f"{m:+.2f}<br>[{a:+.2f}, {b:+.2f}]" for m, a, b in zip(*row, strict=True)]
        for row in zip(grid.to_numpy(), low.to_numpy(), high.to_numpy(), strict=True)
    ]
    limit = float(np.abs(grid.to_numpy()).max())
    fig = go.Figure(
        go.Heatmap(
            z=grid.to_numpy(),
            x=[f"{c:g}" for c in grid.columns],
            y=[f"{r:g}" for r in grid.index],
            text=words,
            texttemplate="%{text}",
            colorscale="RdBu",
            zmin=-limit,
            zmax=limit,
            hovertemplate=f"{x} %{{x}}, {y} %{{y}}: %{{z:.2f}}<extra></extra>",
        )
    )
    told = "; ".join(
        f"{x} {row[x]:g}, {y} {row[y]:g}: {row[value]:+.2f}"
        for _, row in table.iterrows()
    )
    fig.update_layout(
        title=title,
        height=420,
        xaxis_title=x,
        yaxis_title=y,
        meta={"alt": f"{title}. {told}."},
    )
    return fig


def before_after(
    images: np.ndarray,
    tumor: np.ndarray,
    maps: Mapping[str, np.ndarray],
    titles: Sequence[str] = (),
) -> Figure:
    """Slices in columns; the image and the heatmap of each model in rows.

    Parameters
    ----------
    images : ndarray of shape (n, H, W)
    tumor : ndarray of shape (n, H, W)
        Outlined in every panel.
    maps : mapping of str to ndarray of shape (n, H, W)
        Relevance by model, each slice on its own scale, symmetric around zero.
    titles : sequence of str
        A word above each slice.
    """
    n = len(images)
    fig, axes = plt.subplots(
        1 + len(maps), n, figsize=(1.7 * n, 1.8 * (1 + len(maps))), squeeze=False
    )
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.set_frame_on(False)
    for column in range(n):
        axes[0, column].imshow(images[column], cmap="gray")
        if column < len(titles):
            axes[0, column].set_title(titles[column], fontsize=10)
        for row, heat in enumerate(maps.values(), 1):
            limit = float(np.quantile(np.abs(heat[column]), 0.998)) or 1.0
            axes[row, column].imshow(
                heat[column], cmap="RdBu_r", vmin=-limit, vmax=limit
            )
        for row in range(1 + len(maps)):
            outline = "yellow" if row == 0 else "black"
            if (tumor[column] > 0).any():
                axes[row, column].contour(
                    tumor[column] > 0, levels=[0.5], colors=outline, linewidths=0.8
                )
    for row, name in enumerate(["image", *maps]):
        axes[row, 0].set_ylabel(name, fontsize=10)
    fig.tight_layout(pad=0.3)
    return fig
