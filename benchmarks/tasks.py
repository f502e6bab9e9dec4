"""What is measured: a network, explained and trained in every way, by every library.

A contestant runs in each form that it can run in (layout of the images, eager or
compiled); the table compares the best form of one with the best form of another.
"""

from __future__ import annotations

import copy
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrpbook_lib.guidance import tumor_lrp_score
from lrpbook_lib.lrp import BiLRP, Explainer
from lrpbook_lib.models import GliomaCNN

from .inputs import slices

Task = Callable[[], object]

LAYOUTS = {
    "default": torch.contiguous_format,
    "channels-last": torch.channels_last,
    "channels-last 3D": torch.channels_last_3d,
}


class Form(NamedTuple):
    """How a contestant runs."""

    layout: str = "default"
    mode: str = "eager"  # "compiled", or "CUDA graphs": compiled, launched as one
    precision: str = "float32"  # or "bf16": under autocast

    def __str__(self) -> str:
        unusual = (self.mode, self.precision) != ("eager", "float32")
        return ", ".join(self) if unusual else self.layout

    def make(self, module: nn.Module) -> Callable[..., Any]:
        """The module as it runs in this form."""
        if self.mode == "eager":
            return module
        graphs = self.mode == "CUDA graphs"
        return torch.compile(module, mode="reduce-overhead" if graphs else None)


class Volumes(nn.Sequential):
    """GliomaCNN's plan in three dimensions, half as wide: volumes are large."""

    def __init__(self, size: int) -> None:
        layers: list[nn.Module] = []
        inside = 1
        for outside in (8, 16, 32, 64):
            conv = nn.Conv3d(inside, outside, 3, padding=1)
            layers += [conv, nn.ReLU(), nn.MaxPool3d(2)]
            inside = outside
        layers += [nn.Flatten(), nn.Linear(64 * (size // 16) ** 3, 64), nn.ReLU()]
        super().__init__(*layers, nn.Linear(64, 2))


class Setting:
    """One network and one batch, as they are for every task.

    Parameters
    ----------
    size, batch : int
    device : str
    space : int
        Two for synthetic slices, scaled by percentiles as in every chapter; three for
        volumes of the same intensities.
    """

    def __init__(self, size: int, batch: int, device: str, space: int = 2) -> None:
        torch.manual_seed(0)
        self.size, self.batch, self.device, self.space = size, batch, device, space
        network = GliomaCNN(size=size) if space == 2 else Volumes(size)
        self.model: nn.Module = network.to(device).eval()
        parts = slices(size, batch, space)
        self.x, self.mask, self.brain = (part.to(device) for part in parts)
        self.target = torch.arange(batch, device=device) % 2

    def forms(self, compiled: bool) -> Iterator[Form]:
        """Every form that a contestant may run in here."""
        last = "channels-last" if self.space == 2 else "channels-last 3D"
        cuda = self.device == "cuda"
        modes = ["eager", *["compiled"] * compiled, *["CUDA graphs"] * cuda * compiled]
        for layout in ("default", last):
            for mode in modes:
                for precision in ("float32", "bf16") if cuda else ("float32",):
                    yield Form(layout, mode, precision)

    def _own(self, form: Form, train: bool = False) -> tuple[nn.Module, Tensor]:
        """A copy of the network and the images, in the layout of the form."""
        layout = LAYOUTS[form.layout]
        # Not .to(memory_format=...): it refuses a network of several dimensions.
        model = copy.deepcopy(self.model).train(train)
        for p in model.parameters():
            if p.ndim == self.space + 2:
                p.data = p.data.contiguous(memory_format=layout)
        return model, self.x.contiguous(memory_format=layout)

    def _timed(self, run: Task, form: Form = Form()) -> Task:  # noqa: B008 (frozen)
        """A task in the precision of the form, over when the device is."""
        if self.device == "cpu":
            return run

        def waited() -> None:
            half = form.precision == "bf16"
            with torch.autocast(self.device, torch.bfloat16, enabled=half):
                run()
            torch.cuda.synchronize()

        return waited

    # -- one batch of heatmaps ---------------------------------------------------------

    def gradient(self, form: Form) -> Task:
        """One autograd gradient with respect to the input: the yardstick."""
        model, images = self._own(form)
        answer = form.make(model)

        def run() -> Tensor:
            x = images.detach().requires_grad_()
            picked = answer(x).gather(1, self.target[:, None]).sum()
            return torch.autograd.grad(picked, x)[0]

        return self._timed(run, form)

    def heatmaps(self, form: Form) -> Task:
        """Epsilon-plus by this library."""
        model, images = self._own(form)
        explainer = Explainer(model, "epsilon-plus", check=False)
        explain = form.make(explainer)

        def run() -> Tensor:
            with torch.no_grad():
                return explain(images, self.target)[1]

        return self._timed(run, form)

    def zennit(self, form: Form) -> Task | None:
        """Epsilon-plus by zennit's hooks."""
        library = _zennit()
        if library is None or form.mode != "eager":
            return None
        model, images = self._own(form)
        start = torch.eye(2, device=self.device)[self.target]
        composite = library.composites.EpsilonPlus()

        def run() -> Tensor:
            with library.attribution.Gradient(model, composite) as attributor:
                return attributor(images.clone(), lambda z: start * z)[1]

        return self._timed(run, form)

    def captum(self, form: Form) -> Task | None:
        """Epsilon-plus by captum, on a network without nn.Flatten (it has no rule)."""
        try:
            from captum.attr import LRP
            from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
        except ImportError:
            return None
        if form.mode != "eager" or self.space != 2:
            return None
        own, images = self._own(form)
        model = _Unflattened(own)
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.rule = Alpha1_Beta0_Rule()
            elif isinstance(layer, nn.Linear):
                layer.rule = EpsilonRule()
        attribution = LRP(model)

        def run() -> Tensor:
            x = images.detach().requires_grad_()
            return attribution.attribute(x, target=self.target)

        return self._timed(run, form)

    # -- one training step -------------------------------------------------------------

    def plain_step(self, form: Form) -> Task:
        """Forward, cross-entropy, backward; dropout on."""
        model, images = self._own(form, train=True)
        answer = form.make(model)

        def run() -> None:
            model.zero_grad()
            F.cross_entropy(answer(images), self.target).backward()

        return self._timed(run, form)

    def guided_step(
        self, form: Form, clean: bool = False, rules: str = "epsilon-plus"
    ) -> Task:
        """The same with cross-entropy over score as the loss, by this library."""
        model, images = self._own(form, train=True)
        explainer = Explainer(model, rules, clean=clean, check=False)
        explain = form.make(explainer)

        def run() -> None:
            model.zero_grad()
            logits, relevance = explain(images, self.target)
            self._loss(logits, relevance).backward()

        return self._timed(run, form)

    def zennit_step(self, form: Form) -> Task | None:
        """The same with zennit and create_graph, though that gradient is wrong."""
        library = _zennit()
        if library is None or form.mode != "eager":
            return None
        model, images = self._own(form, train=True)
        start = torch.eye(2, device=self.device)[self.target]
        composite = library.composites.EpsilonPlus()

        def run() -> None:
            model.zero_grad()
            kind = library.attribution.Gradient
            with kind(model, composite, create_graph=True) as attributor:
                logits, relevance = attributor(images.clone(), lambda z: start * z)
            self._loss(logits, relevance).backward()

        return self._timed(run, form)

    def _loss(self, logits: Tensor, relevance: Tensor) -> Tensor:
        loss = F.cross_entropy(logits, self.target, reduction="none")
        score = tumor_lrp_score(relevance, self.mask, self.brain)
        return (loss / (score + 0.01)).mean()

    # -- a pair of images --------------------------------------------------------------

    def pair(self) -> Task:
        """BiLRP at the last hidden layer, all units in one walk."""
        bilrp = BiLRP(
            Explainer(self.model, "epsilon-plus", "classifier.2", check=False)
        )

        def run() -> Tensor:
            with torch.no_grad():
                return bilrp(self.x[:1], self.x[1:2]).left

        return self._timed(run)

    def pair_by_region(self) -> Task:
        """What tumor and rest of one share with those of the other, no factors."""
        bilrp = BiLRP(
            Explainer(self.model, "epsilon-plus", "classifier.2", check=False)
        )
        masks = torch.stack([self.mask[0], 1 - self.mask[0]])

        def run() -> Tensor:
            return bilrp.regions(self.x[:1], self.x[1:2], masks, masks)

        return self._timed(run)

    def pair_by_neuron(self) -> Task:
        """The same with one relevance pass for each unit and each image."""
        explainer = Explainer(self.model, "epsilon-plus", "classifier.2", check=False)
        units = torch.eye(64, device=self.device)

        def run() -> Tensor:
            rows = []
            with torch.no_grad():
                for x in (self.x[:1], self.x[1:2]):
                    z = explainer.activation(x)
                    rows += [explainer(x, z * unit[None])[1] for unit in units]
            return torch.cat(rows)

        return self._timed(run)


class _Unflattened(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.features = model.features
        self.classifier = nn.Sequential(*list(model.classifier)[1:])

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def _zennit() -> types.SimpleNamespace | None:
    """zennit, where it is installed; its need for torchvision is two class names."""
    names = ("torchvision", "torchvision.models", "torchvision.models.resnet")
    missing = [n for n in (*names, "torchvision.models.vgg") if n not in sys.modules]
    try:
        importlib.import_module("torchvision")
        missing = []
    except ImportError:
        for name in missing:
            sys.modules[name] = types.ModuleType(name)
        block = type("Block", (), {})
        resnet = sys.modules["torchvision.models.resnet"]
        resnet.Bottleneck = resnet.BasicBlock = block  # type: ignore[attr-defined]
    try:
        return types.SimpleNamespace(
            attribution=importlib.import_module("zennit.attribution"),
            composites=importlib.import_module("zennit.composites"),
        )
    except ImportError:
        return None
    finally:
        for name in missing:
            sys.modules.pop(name, None)
