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
from torch import Tensor, nn

from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore.paper import overlay
from lrpbook_lib.explore.programs import ProgramError, portable_program, weights
from lrpbook_lib.explore.runtime import RuntimeMissingError, packed_runtime
from lrpbook_lib.explore.web import constant, script, style
from lrpbook_lib.explore.widget import (
    PageWidget,
    as_array,
    check_same,
    gray_levels,
    levels,
    pack,
    regions,
)
from lrpbook_lib.guidance import chance_level, tumor_lrp_score
from lrpbook_lib.lrp import COMPOSITES, Composite, Epsilon, Explainer, Gamma
from lrpbook_lib.lrp.exports import Exportable

#: Beside the presets of the library, one with both knobs.
EPSILON_GAMMA = Composite(dense=Epsilon(), conv=Gamma())
BUDGET = 20_000_000  # bytes that one explorer may carry
NOTE = (
    "Relevance starts at one; both pictures share the composite. Images are kept in "
    "256 levels, and whoever computes sees just these. Not for clinical use."
)


class HeatmapExplorer(PageWidget):
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
    about = traitlets.Dict().tag(sync=True)
    assets = traitlets.Dict().tag(sync=True)
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
        data = _slice_set(slices, tumor, brain, labels)
        self._models = {k: copy.deepcopy(m).eval() for k, m in named.items()}
        self._composites = _named_composites(composites)
        self._programs = {
            (name, composite): Exportable(Explainer(model, rules, start="one"))
            for name, model in self._models.items()
            for composite, rules in self._composites.items()
        }
        codes, tones = _quantized(data.images)
        low, step = np.moveaxis(tones[..., None, None], 2, 0)
        self.images = (low + step * codes).astype(np.float32)
        self._data = data
        first = next(iter(self._composites))
        logits, maps, numbers = self._stored(first)
        self._frames = levels(maps)
        names = _class_names(classes or data.classes, logits.shape[2])
        knobs = {
            name: _knobs(self._programs[next(iter(named)), name])
            for name in self._composites
        }
        assets, tensors, self.offline_note = self._assets() if offline else ({}, {}, "")
        packed = [pack(codes), pack(data.tumor), pack(data.brain), pack(self._frames)]
        size = sum(map(len, packed)) + sum(map(len, assets.values()))
        if size > BUDGET:
            raise ValueError(
                f"{len(data)} slices of {data.images.shape[1:]} make {size / 1e6:.0f} "
                f"MB; an explorer carries {BUDGET / 1e6:.0f}: choose fewer, "
                "slices.subset(...)"
            )
        # After the first map, the slice with the largest tumor says most.
        start = int((data.tumor > 0).sum((1, 2)).argmax())
        super().__init__(
            about={
                "key": uuid.uuid4().hex,
                "title": title,
                "note": NOTE,
                "shape": list(data.images.shape[1:]),
                "sequences": list(data.sequences),
                "classes": names,
                "regions": regions(data.tumor),
                "models": [
                    {"name": name, "tensors": tensors.get(name, [])} for name in named
                ],
                "composites": [{"name": k, **v} for k, v in knobs.items()],
                "preset": {"composite": first, "epsilon": 1e-6, "gamma": 0.25},
                "slices": _slice_words(data, names),
                "tones": tones.tolist(),
                "logits": np.round(logits.astype(float), 5).tolist(),
                "stored": numbers,
            },
            assets=assets,
            pixels=packed[0],
            labels=packed[1],
            brain=packed[2],
            frames=packed[3],
            slice=start,
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
        logits, relevance = _explain(program, batch, target, epsilon, gamma)
        return logits[0].numpy(), relevance[0].numpy()

    def alt(self) -> str:
        """Who can be explored, and the mean score of each model."""
        models = [model["name"] for model in self.about["models"]]
        means = ", ".join(
            f"{name} {np.mean(scores):.2f}"
            for name, scores in zip(models, self._scores(), strict=True)
        )
        patients = len({each["patient"] for each in self.about["slices"]})
        return (
            f"{self.about['title']}. {len(self.about['slices'])} slices of {patients} "
            f"patients. Mean tumor score of the heatmaps: {means}; by chance "
            f"{self.chance.mean():.2f}."
        )

    def figure(self) -> Figure:
        """The slice at hand with the stored heatmap of each model."""
        n, names = self.slice, [model["name"] for model in self.about["models"]]
        channel = list(self.about["sequences"]).index(self.sequence)
        gray = gray_levels(self.images[n, channel])
        fig = Figure(figsize=(2.6 * (len(names) + 1), 3.0))
        axes = fig.subplots(1, len(names) + 1, squeeze=False)[0]
        nothing = np.full(gray.shape, 15)
        for axis, name, level in zip(
            axes,
            [self.sequence, *names],
            [
                nothing,
                *(self._frames[m, n, self._said(m, n)] for m in range(len(names))),
            ],
            strict=True,
        ):
            overlay(axis, gray, level, self._data.tumor[n] > 0)
            axis.set_title(name, fontsize=10)
        fig.tight_layout(pad=0.4)
        return fig

    def alone(self) -> str:
        """The explorer as HTML that stands alone; it brings the runtime along."""
        carried = self.assets
        try:
            if carried:
                self.set_trait("assets", {**carried, **packed_runtime()})
        except RuntimeMissingError:
            pass  # the page will say that it shows stored heatmaps
        try:
            return super().alone()
        finally:
            self.set_trait("assets", carried)

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

    def _stored(self, composite: str) -> tuple[np.ndarray, np.ndarray, list]:
        """Logits (M, N, K), heatmaps (M, N, K, H, W) and numbers, ahead of time."""
        logits, maps, numbers = [], [], []
        masks, brains = map(torch.from_numpy, (self._data.tumor, self._data.brain))
        for name in self._models:
            program = self._programs[name, composite]
            first = self._try(name, program)
            by_class = [
                _explain(program, torch.from_numpy(self.images), k, 1e-6, 0.25)
                for k in range(first.shape[1])
            ]
            logits.append(by_class[0][0].numpy())
            maps.append(np.stack([R.sum(1).numpy() for _, R in by_class], 1))
            told = [_numbers(R, masks, brains) for _, R in by_class]
            numbers.append([list(row) for row in zip(*told, strict=True)])
        if len({rows.shape for rows in logits}) > 1:
            raise ValueError("the models differ in their number of classes")
        return np.stack(logits), np.stack(maps), numbers

    def _try(self, name: str, program: nn.Module) -> Tensor:
        try:
            return _explain(program, torch.from_numpy(self.images[:1]), 0, 1e-6, 0.25)[
                0
            ]
        except Exception as error:
            raise ValueError(
                f"model {name!r} cannot explain images of shape "
                f"{self.images.shape[1:]}: {error}"
            ) from error

    def _assets(self) -> tuple[dict[str, bytes], dict[str, list], str]:
        """Programs and weights by name, packed; tensors by model; what went wrong."""
        assets, tensors, programs = {}, {}, {}
        for name, model in self._models.items():
            flat, tensors[name] = weights(model)
            assets[f"weights:{name}"] = pack(flat)
        example = torch.from_numpy(self.images[:1])
        try:
            for composite, rules in self._composites.items():
                made = set()
                for model in self._models.values():
                    on_cpu = copy.deepcopy(model).cpu().float()
                    explainer = Explainer(on_cpu, rules, start="one", check=False)
                    made.add(portable_program(explainer, example))
                if len(made) > 1:
                    raise ProgramError("the models are of different architectures")
                programs[f"program:{composite}"] = pack(np.frombuffer(made.pop(), "u1"))
        except ProgramError as error:
            return {}, {}, str(error)
        return {**programs, **assets}, tensors, ""

    def _said(self, model: int, n: int) -> int:
        return int(np.argmax(self.about["logits"][model][n]))

    def _scores(self) -> np.ndarray:
        """Score of each model's heatmap for its prediction, where there is tumor."""
        there = np.flatnonzero(self.chance > 0)
        stored = self.about["stored"]
        return np.array(
            [
                [rows[n][self._said(m, n)]["score"] for n in there] or [np.nan]
                for m, rows in enumerate(stored)
            ]
        )

    @property
    def chance(self) -> np.ndarray:
        """Score of a heatmap that knows nothing, for each slice (N,)."""
        masks, brains = map(torch.from_numpy, (self._data.tumor, self._data.brain))
        return chance_level(masks, brains).numpy()


@torch.no_grad()
def _explain(
    program: nn.Module, x: Tensor, target: int, epsilon: float, gamma: float
) -> tuple[Tensor, Tensor]:
    first = next(program.parameters(), x)
    batches = []
    for part in x.split(32):
        part = part.to(first.device, first.dtype)
        knobs = [
            torch.tensor(v, device=part.device, dtype=part.dtype)
            for v in (epsilon, gamma)
        ]
        if target < 0:
            chosen = program.explainer.model(part).argmax(1)
        else:
            chosen = torch.full((len(part),), target, device=part.device)
        batches.append([t.float().cpu() for t in program(part, chosen, *knobs)])
    logits, relevance = zip(*batches, strict=True)
    return torch.cat(logits), torch.cat(relevance)


def _numbers(relevance: Tensor, masks: Tensor, brains: Tensor) -> list[dict[str, Any]]:
    """For each slice what ``web/measure.js`` computes for the one at hand."""
    score = tumor_lrp_score(relevance, masks, brains)
    heat = relevance.sum(1)
    positive = heat.clamp(min=0) * ((masks > 0) | brains)
    total = positive.sum((1, 2)).clamp(min=1e-30)
    labels = [label for label, _ in regions(masks.numpy())]
    shares = [(positive * (masks == k)).sum((1, 2)) / total for k in (*labels, 0)]
    size = relevance.abs().sum((2, 3))
    sequences = size / size.sum(1, keepdim=True).clamp(min=1e-30)
    limit = np.quantile(heat.abs().numpy(), 0.998, axis=(1, 2))
    return [
        {
            "score": round(float(score[n]), 4),
            "limit": float(f"{limit[n] or 1:.4g}"),
            "regions": [round(float(region[n]), 4) for region in shares],
            "sequences": [round(float(share), 4) for share in sequences[n]],
        }
        for n in range(len(relevance))
    ]


def _slice_set(slices: Any, tumor: Any, brain: Any, labels: Any) -> SliceSet:
    if not isinstance(slices, SliceSet):
        detached = slices.detach().cpu() if isinstance(slices, Tensor) else slices
        array = np.asarray(detached, dtype=np.float32)
        array = as_array(
            array[None] if array.ndim == 3 else array, "slices", "N, C, H, W"
        )
        masks = (
            np.zeros((len(array), *array.shape[2:]), np.uint8)
            if tumor is None
            else tumor
        )
        inside = (array != 0).any(1) if brain is None else brain
        masks, inside = (
            as_array(v, k, "N, H, W") for k, v in (("tumor", masks), ("brain", inside))
        )
        shape = (len(array), *array.shape[2:])
        check_same({"slices": shape, "tumor": masks.shape, "brain": inside.shape})
        truth = -np.ones(len(array), int) if labels is None else labels
        truth = as_array(truth, "labels", "N")
        names = [f"image {i + 1}" for i in range(len(array))]
        return SliceSet.from_arrays(array, truth, masks, inside, names)
    if not len(slices):
        raise ValueError("slices holds no slice")
    as_array(slices.images, "slices.images", "N, C, H, W")
    return slices


def _named_composites(
    given: Sequence[str] | Mapping[str, Composite],
) -> dict[str, Composite]:
    known = {**COMPOSITES, "epsilon-gamma": EPSILON_GAMMA}
    if isinstance(given, str):
        given = (given,)
    if not given:
        raise ValueError("composites is empty: name at least one, ('epsilon-plus',)")
    if isinstance(given, Mapping):
        return dict(given)
    for name in given:
        if name not in known:
            raise ValueError(f"no composite {name!r}; there are {', '.join(known)}")
    return {name: known[name] for name in given}


def _knobs(program: nn.Module) -> dict[str, bool]:
    kinds = {type(rule).__name__ for rule in program.explainer.program_rules.values()}
    return {name: bool(kinds & set(of)) for name, of in program.knobs.items()}


def _quantized(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each channel in 256 levels, zero kept exactly: codes, and (low, step) of each."""
    low = np.minimum(images.min((2, 3)), 0).astype(float)
    step = (np.maximum(images.max((2, 3)), 0) - low) / 255
    step = np.where(step > 0, step, 1)
    low = -np.rint(-low / step) * step
    codes = np.rint((images - low[..., None, None]) / step[..., None, None])
    return np.clip(codes, 0, 255).astype(np.uint8), np.stack([low, step], -1)


def _class_names(known: Sequence[str], count: int) -> list[str]:
    return list(known) if len(known) == count else [f"class {k}" for k in range(count)]


def _slice_words(data: SliceSet, classes: Sequence[str]) -> list[dict[str, Any]]:
    rows = []
    for patient, site, z, label in zip(
        data.patient, data.site, data.z, data.labels, strict=True
    ):
        grade = classes[label] if 0 <= label < len(classes) else "unknown"
        site_words = f"site {site}" if site else ""
        rows.append(
            {
                "patient": str(patient),
                "group": f"{patient} ({grade})",
                "label": f"z {z}",
                "site": str(site),
                "words": site_words,
                "truth": int(label),
            }
        )
    return rows
