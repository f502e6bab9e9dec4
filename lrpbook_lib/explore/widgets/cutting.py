"""Heatmaps cut at a level of the reader's choice: what becomes of them as regions."""

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

from lrpbook_lib.attribution import best_dice, dice
from lrpbook_lib.attribution.interventions import logits_of
from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore.figures.panels import Panel, panels
from lrpbook_lib.explore.levels import gray_levels, quantized
from lrpbook_lib.explore.palette import OUTLINE
from lrpbook_lib.explore.portable import portable_maps
from lrpbook_lib.explore.widgets.given import arrays, slice_words
from lrpbook_lib.explore.widgets.page import ComputingWidget, pack
from lrpbook_lib.explore.widgets.web import constant, script, style
from lrpbook_lib.lrp.errors import ExportError

FOUND = "#2b83ba"
NOTE = (
    "A map is cut at a share of its largest value, inside the brain. Dice is one where "
    "the region found is the one drawn. Not for clinical use."
)


class SegmentationExplorer(ComputingWidget):
    """Cut a heatmap with a slider, and see the region and its Dice answer.

    All of it works on a page without a kernel. With a network that has maps of its own
    the reader can also erase what was found: the network itself, written as an ONNX
    program, then runs in the browser and says what it makes of the rest.

    Parameters
    ----------
    slices : SliceSet
        With the tumors as drawn.
    maps : mapping of str to array of shape (N, H, W)
        Heatmaps by name; what is negative is cut off, as by
        :class:`~lrpbook_lib.attribution.Segmenter`.
    network : nn.Module, optional
        With a method ``maps(x)``, such as a :class:`~lrpbook_lib.models.GPNet`. It is
        copied.
    channel : int
        Which channel of the image lies under the heatmap.
    title : str

    Attributes
    ----------
    slice, threshold, map
        What the reader has chosen; the threshold in percent of the map's maximum.
    offline_note : str
        Why a page cannot run the network; empty if it can.

    Examples
    --------
    >>> SegmentationExplorer(ill.subset(range(12)), {"own map": heat}, network)
    """

    _esm = constant("WORKER", "worker.js") + script("engine", "measure", "cutting")
    _css = style("cutting")
    pixels = traitlets.Bytes().tag(sync=True)
    gray = traitlets.Bytes().tag(sync=True)
    heat = traitlets.Bytes().tag(sync=True)
    labels = traitlets.Bytes().tag(sync=True)
    brain = traitlets.Bytes().tag(sync=True)
    slice = traitlets.Int(0).tag(sync=True)
    threshold = traitlets.Int(50).tag(sync=True)
    map = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        slices: SliceSet,
        maps: Mapping[str, Any],
        network: nn.Module | None = None,
        *,
        channel: int = 0,
        title: str = "From a heatmap to a region (synthetic patients)",
    ) -> None:
        if not maps:
            raise ValueError("maps is empty: name at least one, {'own map': heat}")
        given = {"slices.tumor": (slices.tumor, "N, H, W")}
        given |= {f"maps[{name!r}]": (heat, "N, H, W") for name, heat in maps.items()}
        tumor, *heats = arrays(given)
        self._levels = np.stack([_bytes(heat) for heat in heats])  # (maps, N, H, W)
        self._tumor, self._brain = tumor > 0, np.asarray(slices.brain)
        codes, tones = quantized(np.asarray(slices.images))
        self._tones = np.moveaxis(tones[..., None, None], 2, 0)
        self._codes = codes
        self._gray = gray_levels(np.asarray(slices.images)[:, channel])
        self._network: Any = copy.deepcopy(network)
        self.offline_note = ""
        assets: dict[str, bytes] = {}
        said: list[list[float]] = []
        if self._network is not None:
            self._network.eval()
            images = torch.from_numpy(self._image(range(len(slices))))
            said = logits_of(self._network, images).softmax(1).tolist()
            try:
                program = portable_maps(self._network, images[:1])
                assets["program:own:network"] = pack(np.frombuffer(program, np.uint8))
                assets["weights:network"] = pack(np.zeros(0, np.float32))
            except ExportError as error:
                self.offline_note = str(error)
        super().__init__(
            about={
                "key": uuid.uuid4().hex,
                "title": title,
                "note": NOTE,
                "shape": list(slices.images.shape[1:]),
                "classes": list(slices.classes),
                "slices": slice_words(slices, slices.classes),
                "maps": list(maps),
                "tones": tones.tolist(),
                "probability": said,
                "models": [{"name": "network", "tensors": []}],
            },
            assets=assets,
            pixels=pack(codes if self._network is not None else codes[:0]),
            gray=pack(self._gray),
            heat=pack(self._levels),
            labels=pack(self._tumor.astype(np.uint8)),
            brain=pack(self._brain.astype(np.uint8)),
            map=next(iter(maps)),
        )
        self.on_msg(self._heard)

    def _image(self, at: Sequence[int]) -> np.ndarray:
        """Images in the 256 levels that a page has."""
        low, step = self._tones
        rows = list(at)
        return (low[rows] + step[rows] * self._codes[rows]).astype(np.float32)

    def alt(self) -> str:
        """How well the maps can be cut at all, in numbers."""
        best = ", ".join(
            f"{name} {best_dice(levels * self._brain, self._tumor).mean():.2f}"
            for name, levels in zip(self.about["maps"], self._levels, strict=True)
        )
        return (
            f"{self.about['title']}. {len(self._gray)} slices. Mean Dice, had the best "
            f"level of each slice been known: {best}."
        )

    def figure(self) -> Figure:
        """The slice at hand, each map of it, and the regions cut out of them."""
        n = self.slice
        row = [Panel(self._gray[n], None, {OUTLINE: self._tumor[n]}, "drawn", (0, 255))]
        for name, levels in zip(self.about["maps"], self._levels[:, n], strict=True):
            found = (levels > 2.55 * self.threshold) & self._brain[n]
            fit = dice(found[None], self._tumor[n][None])[0]
            edges = {OUTLINE: self._tumor[n], FOUND: found}
            title = f"{name}: Dice {fit:.2f}"
            row.append(Panel(self._gray[n], levels / 255, edges, title, (0, 255), 1))
        return panels([row], width=2.6)

    def _heard(
        self, _: Any, message: Mapping[str, Any], buffers: Sequence[Any]
    ) -> None:
        """Answer the page: what the network makes of an edited image."""
        if message.get("kind") == "hello" and self._network is not None:
            self.send({"kind": "hello"})
        if message.get("kind") != "explain" or self._network is None:
            return
        x = np.frombuffer(buffers[0], np.float32).reshape(1, *self.about["shape"])
        with torch.no_grad():
            logits, maps = self._network.maps(torch.from_numpy(x.copy()))
        answer = {"id": message["id"], "logits": logits[0].tolist()}
        self.send(answer, buffers=[maps[0].numpy().astype(np.float32).tobytes()])


def _bytes(heat: np.ndarray) -> np.ndarray:
    """Positive maps ``(N, H, W)`` in 256 levels, each by its own maximum."""
    heat = heat.clip(min=0)
    peak = heat.max((1, 2), keepdims=True)
    return np.rint(255 * heat / np.where(peak > 0, peak, 1)).astype(np.uint8)
