"""What moves the answers of networks, as parts of a whole."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from lrpbook_lib.explore.figures.alt import titled
from lrpbook_lib.explore.palette import SERIES

#: Causes by the names of their shares, in the order of the bars.
CAUSES = {
    "by_grade": "grade of the tumor",
    "by_scanner_in_tumor": "scanner, in the tumor",
    "by_scanner_around": "scanner, around the tumor",
    "by_person": "person",
    "by_rest": "interactions and the rest",
}

#: What should decide stands out, and so does what should not.
COLORS = (SERIES[2], SERIES[4], SERIES[1], SERIES[5], "#BBBBBB")


def causes_figure(
    table: pd.DataFrame, title: str, arms: Sequence[str] | None = None
) -> go.Figure:
    """Shares of the logit's variance, a bar an arm, a panel a cohort.

    Parameters
    ----------
    table : DataFrame
        Rows ``arm``, ``metric``, ``estimate`` and ``cohort``, of
        :func:`~lrpbook_lib.training.compare_crossed`.
    title : str
    arms : sequence of str, optional
        Which arms, from top to bottom; default all.
    """
    arms = list(arms) if arms is not None else list(dict.fromkeys(table["arm"]))
    cohorts = list(dict.fromkeys(table["cohort"]))
    fig = make_subplots(
        cols=len(cohorts),
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"cohort {cohort}" for cohort in cohorts],
    )
    told = []
    for col, cohort in enumerate(cohorts, 1):
        mine = table[table["cohort"] == cohort]
        wide = mine.pivot_table(index="arm", columns="metric", values="estimate")
        wide = wide.reindex([arm for arm in arms if arm in wide.index])
        for color, (share, words) in zip(COLORS, CAUSES.items(), strict=True):
            fig.add_bar(
                x=wide[share],
                y=wide.index,
                orientation="h",
                name=words,
                legendgroup=words,
                showlegend=col == 1,
                marker={"color": color, "line": {"color": "white", "width": 1}},
                hovertemplate="%{y}: %{x:.0%}",
                row=1,
                col=col,
            )
        around = wide["by_scanner_around"]
        numbers = ", ".join(f"{arm} {share:.0%}" for arm, share in around.items())
        told.append(f"cohort {cohort}, by the scanner around the tumor: {numbers}")
    fig.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.5)
    fig.update_yaxes(categoryorder="array", categoryarray=arms[::-1])
    return titled(
        fig,
        title,
        "; ".join(told) + ".",
        legend=-0.18,
        height=190 + 34 * len(arms),
        barmode="stack",
    )
