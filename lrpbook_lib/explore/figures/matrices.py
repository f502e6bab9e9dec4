"""A table of numbers as a colored one: who agrees with whom, who judges whom."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from lrpbook_lib.explore.palette import SIGNS, diverging

from .alt import titled


def matrix_figure(
    table: pd.DataFrame, title: str, limits: tuple[float, float], height: int = 0
) -> go.Figure:
    """Every cell of a table with its number and a color.

    Parameters
    ----------
    table : DataFrame
        Of numbers; index and columns name rows and columns, the first row on top.
    title : str
    limits : (float, float)
        Values at both ends of the colors. Where the first is below zero, zero is
        white; else the first is.
    height : int
        In pixels; by default so that rows stand close.
    """
    values = table.to_numpy(dtype=float)
    low, high = limits
    scale = diverging() if low < 0 else [(0, "#FFFFFF"), (1, SIGNS[1])]
    rows, columns = ([str(each) for each in axis] for axis in (table.index, table))
    fig = go.Figure(
        go.Heatmap(
            z=values,
            x=columns,
            y=rows,
            text=[
                [f"{v:.2f}" if np.isfinite(v) else "" for v in row] for row in values
            ],
            texttemplate="%{text}",
            textfont={"size": 10, "color": "black"},
            colorscale=scale,
            zmin=low,
            zmax=high,
            showscale=False,
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        )
    )
    told = "; ".join(
        f"{name}: "
        + ", ".join(f"{c} {v:.2f}" for c, v in zip(columns, row, strict=True))
        for name, row in zip(rows, values, strict=True)
    )
    titled(fig, title, told + ".", height=height or 26 * len(rows) + 190)
    fig.update_xaxes(tickangle=-60, tickfont={"size": 11})
    fig.update_yaxes(autorange="reversed", tickfont={"size": 11})
    return fig
