"""A browser of similar cases: a query, its neighbors at a layer, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.figures.blocks import strongest_links
from lrpbook_lib.explore.figures.panels import slice_panels
from lrpbook_lib.explore.figures.pictures import as_source, paint
from lrpbook_lib.explore.widgets.page import PageWidget
from lrpbook_lib.explore.widgets.web import script, style

if TYPE_CHECKING:
    from lrpbook_lib.similar import SimilarCases


class NeighborBrowser(PageWidget):
    """Pick a query and a layer; see its neighbors, and the links to each.

    Without a kernel it answers for the queries in ``prepared``; with one, for all.

    Parameters
    ----------
    cases : SimilarCases
        Fitted on ``atlas``.
    queries, atlas : SliceSet
    prepared : sequence of int
        Positions of the queries to answer in advance: some 60 kB each on a page.
    channel : str, optional
        The sequence shown; default the last one.
    blocks : int
        Blocks along a side.
    count : int
        Links of each pair.
    title : str
    """

    _esm = script("neighbors")
    _css = style("neighbors")
    queries: traitlets.List = traitlets.List(help="positions and names").tag(sync=True)
    layers = traitlets.List(traitlets.Unicode()).tag(sync=True)
    query = traitlets.Int().tag(sync=True)
    layer = traitlets.Unicode().tag(sync=True)
    blocks = traitlets.Int().tag(sync=True)
    pictures = traitlets.Dict(help="PNG addresses by slice").tag(sync=True)
    answers = traitlets.Dict(help="neighbors by query and layer").tag(sync=True)

    def __init__(
        self,
        cases: SimilarCases,
        queries: Any,
        atlas: Any,
        prepared: Sequence[int],
        channel: str | None = None,
        blocks: int = 8,
        count: int = 24,
        *,
        title: str = "Similar slices (synthetic patients)",
    ) -> None:
        if not len(prepared):
            raise ValueError("prepared is empty: name one query or more.")
        if channel is not None and channel not in queries.sequences:
            raise ValueError(
                f"channel is {channel!r}; there are {', '.join(queries.sequences)}."
            )
        layers = list(cases.explainers)
        super().__init__(
            about={"title": title}, blocks=blocks, layers=layers, layer=layers[-1]
        )
        self._cases, self._sets, self._count = cases, (queries, atlas), count
        self._channel = queries.sequences.index(channel) if channel else -1
        first = [int(i) for i in prepared]
        others = sorted(set(range(len(queries))) - set(first))
        self.queries = [[i, _name(queries, i, cases.classes)] for i in first + others]
        for i in first:
            self._answer(i)
        self.query = first[0]
        self.observe(lambda change: self._answer(change["new"]), "query")

    def alt(self) -> str:
        """Which query is shown, and how many of its neighbors are of its grade."""
        answer = self.answers[f"{self.query}/{self.layer}"]
        near = answer["neighbors"]
        same = {k: sum(each[k] for each in near) for k in ("grade", "site")}
        return (
            f"{self.about['title']}. Query: {dict(self.queries)[self.query]}. Of its "
            f"{len(near)} neighbors at {self.layer}, {same['grade']} share its grade "
            f"and {same['site']} its site. All layers speak for {answer['predicted']}, "
            f"credibility {answer['credibility']}."
        )

    def figure(self) -> Figure:
        """The query at hand and its neighbors at the layer at hand."""
        near = self.answers[f"{self.query}/{self.layer}"]["neighbors"]
        queries, atlas = self._sets
        shown = [(queries, self.query)]
        shown += [(atlas, int(each["picture"][1:])) for each in near]
        images, tumors = zip(*(self._slice(*each) for each in shown), strict=True)
        names = [dict(self.queries)[self.query], *(each["name"] for each in near)]
        titles = [name.replace(", ", "\n", 2) for name in names]
        return slice_panels(images, tumors, titles)

    def _answer(self, i: int) -> None:
        """Fill in neighbors, links and pictures of a query, unless they are there."""
        if f"{i}/{self.layers[0]}" in self.answers:
            return
        import torch

        from lrpbook_lib.similar import block_similarity

        queries, atlas = self._sets
        found = self._cases.query(queries.subset([i]))
        pictures, answers = {f"q{i}": self._picture(queries, i)}, {}
        support = {
            "predicted": self._cases.classes[int(found.predicted[0])],
            "credibility": round(float(found.credibility[0]), 3),
            "confidence": round(float(found.confidence[0]), 3),
        }
        for layer, (near,) in found.neighbors.items():
            between = block_similarity(
                self._cases.explainers[layer],
                queries[i]["image"],
                torch.stack([atlas[int(j)]["image"] for j in near]),
                self.blocks,
            )
            shown = []
            for j, distance, pair in zip(
                near.tolist(), found.distances[layer][0], between.cpu(), strict=True
            ):
                pictures[f"a{j}"] = self._picture(atlas, j)
                links = strongest_links(pair, self._count)
                top = abs(links[0].value) if links else 1.0
                shown.append(
                    {
                        "picture": f"a{j}",
                        "name": _name(atlas, j, self._cases.classes),
                        "grade": bool(atlas.labels[j] == queries.labels[i]),
                        "site": bool(atlas.site[j] == queries.site[i]),
                        "distance": round(float(distance), 3),
                        "links": [
                            [*link.block, *link.partner, round(link.value / top, 2)]
                            for link in links
                        ],
                    }
                )
            answers[f"{i}/{layer}"] = {"neighbors": shown, **support}
        with self.hold_sync():
            self.pictures = {**self.pictures, **pictures}
            self.answers = {**self.answers, **answers}

    def _slice(self, slices: Any, i: int) -> tuple[np.ndarray, np.ndarray]:
        item = slices[i]
        return np.asarray(item["image"][self._channel]), np.asarray(item["tumor"])

    def _picture(self, slices: Any, i: int) -> str:
        return as_source(paint(*self._slice(slices, i)))


def _name(slices: Any, i: int, classes: Sequence[str]) -> str:
    """Who a slice belongs to: grade, site, patient and height."""
    label = int(slices.labels[i])
    grade = classes[label] if label >= 0 else "grade unknown"
    site = f"site {slices.site[i]}" if slices.site[i] else "site unknown"
    return f"{grade}, {site}, {slices.patient[i]}, z {int(slices.z[i])}"
