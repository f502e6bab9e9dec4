"""Heatmaps under the reader's hand, with a kernel and without one."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import traitlets
from matplotlib.figure import Figure
from torch import nn

from lrpbook_lib.attribution import chance_level
from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.levels import levels, of_levels, quantized
from lrpbook_lib.explore.palette import OUTLINE, regions
from lrpbook_lib.explore.portable import portable
from lrpbook_lib.explore.widgets.answers import (
    explain_batch,
    live_knobs,
    named_composites,
    precomputed,
    relevance_program,
)
from lrpbook_lib.explore.widgets.given import slice_set, slice_words
from lrpbook_lib.explore.widgets.page import ComputingWidget, pack
from lrpbook_lib.explore.widgets.web import constant, script, style
from lrpbook_lib.lrp import Composite

BUDGET = 20_000_000  # bytes that one explorer may carry
NOTE = (
    "Relevance starts at one; both pictures share the composite. Images are kept in "
    "256 levels, and whoever computes sees just these. Not for clinical use."
)


class HeatmapExplorer(ComputingWidget):
    """Change image, model or rule; see logits, heatmap and score answer.

    In Jupyter and Colab Python computes. On a page without a kernel the LRP program
    itself runs in the browser, once the reader touches the widget; where it cannot,
    stored heatmaps are shown. The widget says which.

    Parameters
    ----------
    models : mapping of str to nn.Module, or nn.Module
        Any models that :class:`~lrpbook_lib.lrp.Explainer` takes. They are copied.
    slices : SliceSet, or array of shape (N, C, H, W) or (C, H, W)
    tumor, brain : array of shape (N, H, W), optional
        With an array of images: labels of the tumor's regions and where the brain is;
        by default no tumor, and brain where any channel is not zero.
    labels : array of shape (N,), optional
        With an array of images: the true class of each.
    classes : sequence of str, optional
        Names of the classes; by default those of the slices.
    composites : sequence of str, or mapping of str to Composite
        The first is shown at first. ``"epsilon-gamma"`` is a name, too.
    title : str
    offline : bool
        Whether weights and programs travel along, so that a page can compute. Writing
        a program takes seconds the first time; a model that ONNX cannot express is
        explored with a kernel alone.

    Attributes
    ----------
    slice, target, composite, epsilon, gamma, sequence
        What the reader has chosen; target -1 is the predicted class.
    images : ndarray of shape (N, C, H, W)
        What the models see: the images in 256 levels.
    said : ndarray of shape (M, N)
        Class that each model predicts for each slice.
    chance : ndarray of shape (N,)
        Score of a heatmap that knows nothing, for each slice.
    offline_note : str
        Why a page cannot compute; empty if it can.

    Examples
    --------
    >>> HeatmapExplorer({"plain": plain, "guided": guided}, slices.subset(test[:30]))
    """

    _esm = constant("WORKER", "worker.js") + script(
        "engine", "measure", "edit", "panel", "explorer", "layout"
    )
    _css = style("explorer")
    pixels = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    brain = traitlets.Bytes().tag(sync=True)
    frames = traitlets.Bytes().tag(sync=True)
    slice = traitlets.Int(0).tag(sync=True)
    target = traitlets.Int(-1).tag(sync=True)
    composite = traitlets.Unicode().tag(sync=True)
    epsilon = traitlets.Float(1e-6).tag(sync=True)
    gamma = traitlets.Float(0.25).tag(sync=True)
    sequence = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, nn.Module] | nn.Module,
        slices: SliceSet | Any,
        tumor: Any = None,
        brain: Any = None,
        *,
        labels: Any = None,
        classes: Sequence[str] | None = None,
        composites: Sequence[str] | Mapping[str, Composite] = (
            "epsilon-plus",
            "epsilon-gamma",
        ),
        title: str = "Heatmap explorer (synthetic patients)",
        offline: bool = True,
    ) -> None:
        named = {"model": models} if isinstance(models, nn.Module) else dict(models)
        if not named:
            raise ValueError("models is empty: name at least one, {'plain': model}")
        data = self._data = slice_set(slices, tumor, brain, labels)
        copies = {name: copy.deepcopy(m).eval() for name, m in named.items()}
        rules = named_composites(composites)
        self._programs = {
            (name, composite): relevance_program(model, rules[composite])
            for name, model in copies.items()
            for composite in rules
        }
        codes, tones = quantized(data.images)
        low, step = np.moveaxis(tones[..., None, None], 2, 0)
        self.images = (low + step * codes).astype(np.float32)
        first = next(iter(rules))
        images, masks, brains = map(
            torch.from_numpy, (self.images, data.tumor, data.brain)
        )
        shown = {name: self._programs[name, first] for name in named}
        logits, maps, numbers = precomputed(shown, images, masks, brains)
        self.chance = chance_level(masks, brains).numpy()
        self.said = logits.argmax(-1)
        self._frames = levels(maps)
        known, count = classes or data.classes, logits.shape[2]
        classes = known if len(known) == count else [f"class {k}" for k in range(count)]
        assets, tensors, self.offline_note = (
            portable(copies, rules, images[:1]) if offline else ({}, {}, "")
        )
        packed = [pack(codes), pack(data.tumor), pack(data.brain), pack(self._frames)]
        size = sum(map(len, packed)) + sum(map(len, assets.values()))
        if size > BUDGET:
            raise ValueError(
                f"{len(data)} slices of {data.images.shape[1:]} make {size / 1e6:.0f} "
                f"MB; an explorer carries {BUDGET / 1e6:.0f}: choose fewer, "
                "slices.subset(...)"
            )
        super().__init__(
            about={
                "key": uuid.uuid4().hex,
                "title": title,
                "note": NOTE,
                "shape": list(data.images.shape[1:]),
                "sequences": list(data.sequences),
                "classes": list(classes),
                "regions": regions(data.tumor),
                "models": [
                    {"name": name, "tensors": tensors.get(name, [])} for name in named
                ],
                "composites": [
                    {
                        "name": name,
                        **live_knobs(self._programs[next(iter(named)), name]),
                    }
                    for name in rules
                ],
                "preset": {"composite": first, "epsilon": 1e-6, "gamma": 0.25},
                "slices": slice_words(data, classes),
                "tones": tones.tolist(),
                "logits": np.round(logits.astype(float), 5).tolist(),
                "stored": numbers,
            },
            assets=assets,
            **dict(zip(("pixels", "labels", "brain", "frames"), packed, strict=True)),
            # After the first map, the slice with the largest tumor says most.
            slice=int((data.tumor > 0).sum((1, 2)).argmax()),
            composite=first,
            sequence=data.sequences[-1],
        )
        self.on_msg(self._heard)

    def explain(
        self,
        model: str,
        x: Any,
        target: int = -1,
        composite: str | None = None,
        epsilon: float | None = None,
        gamma: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (C,) and relevance (C, H, W) of one image, at the reader's settings.

        Parameters
        ----------
        model : str
        x : array of shape (C, H, W)
        target : int
            Class; -1 is the predicted one.
        composite, epsilon, gamma
            By default what is chosen in the widget.
        """
        program = self._programs[model, composite or self.composite]
        epsilon = self.epsilon if epsilon is None else epsilon
        gamma = self.gamma if gamma is None else gamma
        batch = torch.as_tensor(np.array(x, dtype=np.float32))[None]
        logits, relevance = explain_batch(program, batch, target, epsilon, gamma)
        return logits[0].numpy(), relevance[0].numpy()

    def alt(self) -> str:
        """Who can be explored, and the mean score of each model."""
        means = []
        for model, said, stored in zip(
            self.about["models"], self.said, self.about["stored"], strict=True
        ):
            # For what it predicts, where there is tumor.
            scores = [row[k]["score"] for row, k in zip(stored, said, strict=True)]
            there = np.array(scores)[self.chance > 0]
            mean = there.mean() if len(there) else float("nan")
            means.append(f"{model['name']} {mean:.2f}")
        slices = self.about["slices"]
        return (
            f"{self.about['title']}. {len(slices)} slices of "
            f"{len({each['patient'] for each in slices})} patients. Mean tumor score "
            f"of the heatmaps: {', '.join(means)}; by chance {self.chance.mean():.2f}."
        )

    def figure(self) -> Figure:
        """The slice at hand with the stored heatmap of each model."""
        n = self.slice
        image = self.images[n, self.about["sequences"].index(self.sequence)]
        edge = {OUTLINE: self._data.tumor[n] > 0}
        row = [Panel(image, None, edge, self.sequence)]
        for model, said, maps in zip(
            self.about["models"], self.said, self._frames, strict=True
        ):
            heat = of_levels(maps[n, said[n]])
            row.append(Panel(image, heat, edge, model["name"], limit=1))
        return panels([row], width=2.6)

    # -- kernel side -----------------------------------------------------------------

    def _heard(
        self, _: Any, message: Mapping[str, Any], buffers: Sequence[Any]
    ) -> None:
        """Answer the page: it asks, and gets logits and relevance or a sentence."""
        if message.get("kind") == "hello":
            self.send({"kind": "hello"})
        if message.get("kind") != "explain":
            return
        try:
            if message["edited"]:
                x = np.frombuffer(buffers[0], np.float32).reshape(self.about["shape"])
            else:
                x = self.images[message["slice"]]
            knobs = {k: message[k] for k in ("target", "composite", "epsilon", "gamma")}
            logits, relevance = self.explain(message["model"], x, **knobs)
        except Exception as error:  # a page has no traceback to show
            told = f"{type(error).__name__}: {error}"
            self.send({"id": message["id"], "error": told})
            return
        answer = {"id": message["id"], "logits": logits.tolist()}
        self.send(answer, buffers=[relevance.astype(np.float32).tobytes()])
