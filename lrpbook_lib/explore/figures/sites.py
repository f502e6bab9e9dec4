"""A cohort at a glance: sites, grades, intensities, and which slices are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from lrpbook_lib.explore.figures.alt import titled
from lrpbook_lib.explore.palette import GRADES, SERIES


def site_grade_bars(counts: pd.DataFrame, title: str) -> go.Figure:
    """Patients of each site, a bar a site, split by grade.

    Parameters
    ----------
    counts
        Index site; columns HGG and LGG.
    title
        Says whose sites these are.
    """
    sites = [str(s) for s in counts.index]
    bars = [
        go.Bar(y=sites, x=counts[g], name=g, orientation="h", marker_color=color)
        for g, color in GRADES.items()
    ]
    both = int((counts[list(GRADES)] > 0).all(axis=1).sum())
    return titled(
        go.Figure(bars),
        title,
        f"In short: of {len(counts)} sites, {both} have patients of both grades.",
        barmode="stack",
        height=130 + 24 * len(counts),
        xaxis_title="patients",
        yaxis={"autorange": "reversed", "type": "category", "automargin": True},
    )


def cohort_explorer(
    table: pd.DataFrame, x: str, y: str, columns: Sequence[str], title: str
) -> go.Figure:
    """Scatter and table of a cohort with a menu that filters both by site.

    Works without a kernel; a click in the legend hides a grade.

    Parameters
    ----------
    table
        A row a patient, with the columns ``id``, ``site`` and ``grade``.
    x, y
        Columns of the scatter.
    columns
        Columns of the table.
    title
        Says whose cohort this is.
    """
    fig = make_subplots(
        rows=2,
        cols=1,
        specs=[[{"type": "xy"}], [{"type": "table"}]],
        row_heights=[0.55, 0.45],
        vertical_spacing=0.14,
    )

    def points(part: pd.DataFrame, grade: str) -> dict[str, list]:
        mine = part[part["grade"] == grade]
        return {k: mine[c].tolist() for k, c in (("x", x), ("y", y), ("text", "id"))}

    def cells(part: pd.DataFrame) -> list[list]:
        return [part[c].tolist() for c in columns]

    for grade, color in GRADES.items():
        marks = {"mode": "markers", "name": grade, "marker": {"color": color}}
        fig.add_trace(go.Scatter(**points(table, grade), **marks), row=1, col=1)
    fig.add_trace(
        go.Table(
            columnwidth=[2, *[1] * (len(columns) - 1)],
            header={"values": list(columns), "align": "left"},
            cells={"values": cells(table), "align": "left"},
        ),
        row=2,
        col=1,
    )
    menu = []
    for site in ["all sites", *sorted(table["site"].unique())]:
        part = table if site == "all sites" else table[table["site"] == site]
        both = [points(part, grade) for grade in GRADES]
        change = {
            **{k: [*(b[k] for b in both), None] for k in ("x", "y", "text")},
            "cells.values": [None, None, cells(part)],
        }
        menu.append({"label": site, "method": "restyle", "args": [change]})
    return titled(
        fig,
        title,
        f"{y} against {x}, a point a patient, colored by grade, over a table of the "
        f"{len(table)} patients; a menu chooses the site.",
        height=640,
        updatemenus=[{"buttons": menu, "x": 1.0, "xanchor": "right", "y": 1.12}],
        xaxis_title=x,
        yaxis_title=y,
    )


def protocol_scores(
    scores: Mapping[str, Sequence[float]], chance: float, title: str
) -> go.Figure:
    """Scores of several runs under several protocols, with mean, spread and chance.

    Parameters
    ----------
    scores
        Protocol to one score a run.
    chance
        What guessing reaches.
    """
    mean = np.array([np.mean(runs) for runs in scores.values()])
    above = [max(runs) for runs in scores.values()] - mean
    below = mean - [min(runs) for runs in scores.values()]
    dots = go.Scatter(
        x=list(scores),
        y=mean,
        error_y={"array": above, "arrayminus": below},
        mode="markers",
        marker={"size": 12, "color": SERIES[0]},
    )
    fig = go.Figure(dots)
    fig.add_hline(y=chance, line_dash="dash", annotation_text="chance")
    told = ", ".join(f"{k} {m:.2f}" for k, m in zip(scores, mean, strict=True))
    return titled(
        fig,
        title,
        f"Means: {told}; chance {chance:.2f}.",
        height=360,
        yaxis={"title": "score", "range": [0, 1.03]},
    )


def intensity_curves(
    groups: Mapping[str, Mapping[str, np.ndarray]], bins: int = 60
) -> Figure:
    """Histograms of brain intensities, a panel a group and a line a patient.

    Parameters
    ----------
    groups
        Panel title to (line name to values).
    """
    fig = Figure(figsize=(4.2 * len(groups), 2.9))
    axes = fig.subplots(1, len(groups), squeeze=False)[0]
    for axis, (title, lines) in zip(axes, groups.items(), strict=True):
        top = max(np.percentile(values, 99.5) for values in lines.values())
        low = min(np.percentile(values, 0.5) for values in lines.values())
        for name, values in lines.items():
            height, edges = np.histogram(values, bins, (low, top), density=True)
            axis.plot((edges[:-1] + edges[1:]) / 2, height, label=name)
        axis.set(title=title, yticks=[], xlabel="intensity")
    axes[-1].legend(fontsize=8)
    fig.tight_layout()
    return fig


def choice_along_z(area: np.ndarray, chosen: Mapping[str, np.ndarray]) -> Figure:
    """Tumor area by slice, with the slices that recipes choose.

    Parameters
    ----------
    area
        ``(Z,)`` mm².
    chosen
        Recipe to positions.
    """
    fig = Figure(figsize=(7, 2.8))
    axis = fig.subplots()
    axis.fill_between(np.arange(len(area)), area / 100, color="0.85")
    colors = (SERIES[1], SERIES[0], SERIES[2])
    for (name, z), color, mark in zip(chosen.items(), colors, "ox^", strict=False):
        axis.plot(z, area[z] / 100, mark, color=color, label=name)
    axis.set(xlabel="axial slice, upwards", ylabel="tumor area (cm²)")
    axis.legend()
    fig.tight_layout()
    return fig
