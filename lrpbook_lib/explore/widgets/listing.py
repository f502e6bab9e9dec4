"""The slices of an explorer as a table to filter; a row opens the explorer."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pandas as pd
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.palette import SERIES
from lrpbook_lib.explore.widgets.explorer import HeatmapExplorer
from lrpbook_lib.explore.widgets.page import PageWidget
from lrpbook_lib.explore.widgets.web import script, style


class CohortBrowser(PageWidget):
    """Find slices by grade, site, prediction and score, and open them in an explorer.

    Works without a kernel, too: both widgets talk to each other on the page.

    Parameters
    ----------
    explorer : HeatmapExplorer
        Whose slices are listed.
    model : str, optional
        Whose scores the two score filters mean; by default the last one's.
    title : str

    Attributes
    ----------
    chosen : int
        Position of the slice that the reader opened last; -1 at first.
    """

    _esm = script("listing")
    _css = style("listing")
    chosen = traitlets.Int(-1).tag(sync=True)

    def __init__(
        self,
        explorer: HeatmapExplorer,
        model: str | None = None,
        *,
        title: str = "Slices of the explorer (synthetic patients)",
    ) -> None:
        about = explorer.about
        names = [each["name"] for each in about["models"]]
        model = names[-1] if model is None else model
        if model not in names:
            raise ValueError(f"no model {model!r}; there are {', '.join(names)}")
        labels = {"patient": "patient", "z": "slice", "site": "site", "grade": "truth"}
        for name in names:
            labels |= {key: key for key in (f"{name} says", f"{name} score")}
        labels["chance"] = "chance"
        columns: list[dict[str, Any]] = [
            {"key": key, "label": label, "bar": key.endswith(("score", "chance"))}
            for key, label in labels.items()
        ]
        says = [each for each in columns if each["key"].endswith(" says")]
        super().__init__(
            about={
                "key": about["key"],
                "title": title,
                "columns": columns,
                "filters": [*columns[2:4], *says],
                "score": f"{model} score",
                "rows": _rows(explorer, names),
                "note": "Open a slice by its patient's name. Score: share of the "
                "brain's positive relevance that lies in the tumor, for what the "
                f"model says; the two bounds are on {model}'s.",
            }
        )
        # With a kernel the two are linked in Python, too.
        self.observe(lambda change: explorer.set_trait("slice", change.new), "chosen")

    def alt(self) -> str:
        """How many slices, and how many of them each model gets right."""
        rows = self.about["rows"]
        names = [each["label"] for each in self.about["filters"][2:]]
        right = ", ".join(
            f"{name.removesuffix(' says')} "
            f"{sum(row[name] == row['grade'] for row in rows)}"
            for name in names
        )
        return f"{self.about['title']}. {len(rows)} slices; right are: {right}."

    def figure(self) -> Figure:
        """Score of each slice against chance, for each model."""
        fig = Figure(figsize=(5, 3.4))
        axis = fig.subplots()
        rows = pd.DataFrame(self.about["rows"])
        scores = rows.filter(regex=" score$").astype(float)
        for (name, score), color in zip(scores.items(), cycle(SERIES), strict=False):
            label = str(name).removesuffix(" score")
            axis.plot(rows["chance"], score, "o", label=label, alpha=0.7, color=color)
        top = rows["chance"].max()
        axis.plot([0, top], [0, top], "--", color="gray", label="chance")
        axis.set(xlabel="chance", ylabel="score", ylim=(-0.02, 1.02))
        axis.legend()
        return fig


def _rows(explorer: HeatmapExplorer, names: list[str]) -> list[dict[str, Any]]:
    about = explorer.about
    rows = []
    for n, (each, chance) in enumerate(
        zip(about["slices"], explorer.chance, strict=True)
    ):
        truth = each["truth"]
        row: dict[str, Any] = {
            "slice": n,
            "patient": each["patient"],
            "z": each["label"],
            "site": each["site"] or "–",
            "grade": about["classes"][truth] if truth >= 0 else "unknown",
            "chance": round(float(chance), 4),
        }
        for name, said, stored in zip(
            names, explorer.said[:, n], about["stored"], strict=True
        ):
            row[f"{name} says"] = about["classes"][said]
            row[f"{name} score"] = stored[n][said]["score"] if chance > 0 else None
        rows.append(row)
    return rows
