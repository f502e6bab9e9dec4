"""Cohorts at a glance: who is in them, and what the site gives away."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

#: Orange and blue of Okabe and Ito, told apart by color-blind readers.
GRADE_COLORS = {"HGG": "#D55E00", "LGG": "#0072B2"}


def site_grade_bars(counts: pd.DataFrame, title: str) -> go.Figure:
    """Patients of each site, a bar a site, split by grade.

    Parameters
    ----------
    counts
        Index site; columns HGG and LGG.
    title
        Says whose sites these are.
    """
    bars = [
        go.Bar(
            y=[str(s) for s in counts.index],
            x=counts[grade],
            name=grade,
            orientation="h",
            marker_color=GRADE_COLORS[grade],
        )
        for grade in ("HGG", "LGG")
    ]
    both = int(((counts["HGG"] > 0) & (counts["LGG"] > 0)).sum())
    alt = f"{title}: of {len(counts)} sites, {both} have patients of both grades."
    fig = go.Figure(bars)
    fig.update_layout(
        title=title,
        barmode="stack",
        height=130 + 24 * len(counts),
        xaxis_title="patients",
        yaxis={"autorange": "reversed", "type": "category", "automargin": True},
        meta={"alt": alt},
    )
    return fig


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

    for grade, color in GRADE_COLORS.items():
        marks = go.Scatter(
            **points(table, grade), mode="markers", name=grade, marker={"color": color}
        )
        fig.add_trace(marks, row=1, col=1)
    fig.add_trace(
        go.Table(
            columnwidth=[2, *[1] * (len(columns) - 1)],
            header={"values": list(columns), "align": "left"},
            cells={"values": [table[c].tolist() for c in columns], "align": "left"},
        ),
        row=2,
        col=1,
    )
    menu = []
    for site in ["all sites", *sorted(table["site"].unique())]:
        part = table if site == "all sites" else table[table["site"] == site]
        both = [points(part, grade) for grade in GRADE_COLORS]
        cells = [part[c].tolist() for c in columns]
        change = {
            **{k: [b[k] for b in both] + [None] for k in ("x", "y", "text")},
            "cells.values": [None, None, cells],
        }
        menu.append({"label": site, "method": "restyle", "args": [change]})
    fig.update_layout(
        title=title,
        height=640,
        updatemenus=[{"buttons": menu, "x": 1.0, "xanchor": "right", "y": 1.12}],
        xaxis_title=x,
        yaxis_title=y,
        meta={
            "alt": f"{title}. {y} against {x}, a point a patient, colored by grade, "
            f"over a table of the {len(table)} patients; a menu chooses the site."
        },
    )
    return fig


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
    fig = go.Figure()
    for name, values in scores.items():
        low, high = np.min(values), np.max(values)
        fig.add_trace(
            go.Scatter(
                x=[name],
                y=[np.mean(values)],
                error_y={
                    "array": [high - np.mean(values)],
                    "arrayminus": [np.mean(values) - low],
                },
                mode="markers",
                marker={"size": 12},
                showlegend=False,
            )
        )
    fig.add_hline(y=chance, line_dash="dash", annotation_text="chance")
    told = ", ".join(f"{k} {np.mean(v):.2f}" for k, v in scores.items())
    fig.update_layout(
        title=title,
        height=360,
        yaxis={"title": "score", "range": [0, 1.03]},
        meta={"alt": f"{title}: {told}; chance {chance:.2f}."},
    )
    return fig
