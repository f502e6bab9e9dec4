"""The slices of an explorer as a table to filter; a row opens the explorer."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.explorer import HeatmapExplorer
from lrpbook_lib.explore.web import script, style
from lrpbook_lib.explore.widget import PageWidget


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

    _esm = script("cohort")
    _css = style("cohort")
    about = traitlets.Dict().tag(sync=True)
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
        columns: list[dict[str, Any]] = [
            {"key": "patient", "label": "patient"},
            {"key": "z", "label": "slice"},
            {"key": "site", "label": "site"},
            {"key": "grade", "label": "truth"},
        ]
        for name in names:
            columns += [
                {"key": f"{name} says", "label": f"{name} says"},
                {"key": f"{name} score", "label": f"{name} score", "bar": True},
            ]
        columns.append({"key": "chance", "label": "chance", "bar": True})
        says = [{"key": f"{name} says", "label": f"{name} says"} for name in names]
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
        rows = self.about["rows"]
        for name in (each["key"] for each in self.about["columns"]):
            if name.endswith(" score"):
                points = np.array([(r["chance"], r[name]) for r in rows], dtype=float)
                axis.plot(*points.T, "o", label=name.removesuffix(" score"), alpha=0.7)
        top = max((row["chance"] for row in rows), default=1)
        axis.plot([0, top], [0, top], "--", color="gray", label="chance")
        axis.set(xlabel="chance", ylabel="score", ylim=(-0.02, 1.02))
        axis.legend()
        return fig


def _rows(explorer: HeatmapExplorer, names: list[str]) -> list[dict[str, Any]]:
    about, chance = explorer.about, explorer.chance
    rows = []
    for n, each in enumerate(about["slices"]):
        truth = each["truth"]
        row: dict[str, Any] = {
            "slice": n,
            "patient": each["patient"],
            "z": each["label"],
            "site": each["site"] or "–",
            "grade": about["classes"][truth] if truth >= 0 else "unknown",
            "chance": round(float(chance[n]), 4),
        }
        for m, name in enumerate(names):
            said = int(np.argmax(about["logits"][m][n]))
            row[f"{name} says"] = about["classes"][said]
            score = about["stored"][m][n][said]["score"]
            row[f"{name} score"] = score if chance[n] > 0 else None
        rows.append(row)
    return rows
