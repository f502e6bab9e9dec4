"""What is measured: the paper's network, explained and trained in every way."""

from __future__ import annotations

import copy
import importlib
import sys
import types
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lrpbook_lib.guidance import tumor_lrp_score
from lrpbook_lib.lrp import BiLRP, Explainer
from lrpbook_lib.models import GliomaCNN

Task = Callable[[], object]


class Setting:
    """One network and one batch, as they are for every task."""

    def __init__(self, size: int, batch: int, device: str) -> None:
        torch.manual_seed(0)
        self.size, self.batch, self.device = size, batch, device
        self.model = GliomaCNN(size=size).to(device).eval()
        self.x = torch.rand(batch, 3, size, size, device=device)
        self.target = torch.arange(batch, device=device) % 2
        self.mask = torch.zeros(batch, size, size, device=device)
        self.mask[:, size // 3 : size // 2, size // 3 : size // 2] = 1
        self.brain = torch.ones_like(self.mask)

    def synchronized(self, run: Task) -> Task:
        """A task that is over when the device is."""
        if self.device == "cpu":
            return run

        def waited() -> None:
            run()
            torch.cuda.synchronize()

        return waited

    # -- one batch of heatmaps ---------------------------------------------------------

    def gradient(self) -> Task:
        """One autograd gradient with respect to the input: the yardstick."""
        model, rows = self.model, torch.arange(self.batch, device=self.device)

        def run() -> Tensor:
            x = self.x.detach().requires_grad_()
            picked = model(x)[rows, self.target].sum()
            return torch.autograd.grad(picked, x)[0]

        return self.synchronized(run)

    def heatmaps(self, compiled: bool = False) -> Task:
        """Epsilon-plus by this library."""
        explainer = Explainer(self.model, "epsilon-plus", check=False)
        explain = torch.compile(explainer) if compiled else explainer

        def run() -> Tensor:
            with torch.no_grad():
                return explain(self.x, self.target)[1]

        return self.synchronized(run)

    def zennit(self) -> Task | None:
        """Epsilon-plus by zennit's hooks."""
        library = _zennit()
        if library is None:
            return None
        model = copy.deepcopy(self.model)
        start = torch.eye(2, device=self.device)[self.target]
        composite = library.composites.EpsilonPlus()

        def run() -> Tensor:
            with library.attribution.Gradient(model, composite) as attributor:
                return attributor(self.x.clone(), lambda z: start * z)[1]

        return self.synchronized(run)

    def captum(self) -> Task | None:
        """Epsilon-plus by captum, on a network without nn.Flatten (it has no rule)."""
        try:
            from captum.attr import LRP
            from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule
        except ImportError:
            return None
        model = _Unflattened(copy.deepcopy(self.model))
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d):
                layer.rule = Alpha1_Beta0_Rule()
            elif isinstance(layer, nn.Linear):
                layer.rule = EpsilonRule()
        attribution = LRP(model)

        def run() -> Tensor:
            x = self.x.detach().requires_grad_()
            return attribution.attribute(x, target=self.target)

        return self.synchronized(run)

    # -- one training step -------------------------------------------------------------

    def plain_step(self) -> Task:
        """Forward, cross-entropy, backward; dropout on."""
        model = copy.deepcopy(self.model).train()

        def run() -> None:
            model.zero_grad()
            F.cross_entropy(model(self.x), self.target).backward()

        return self.synchronized(run)

    def guided_step(
        self, clean: bool, compiled: bool = False, rules: str = "epsilon-plus"
    ) -> Task:
        """The same with cross-entropy over score as the loss, by this library."""
        model = copy.deepcopy(self.model).train()
        explainer = Explainer(model, rules, clean=clean, check=False)
        explain = torch.compile(explainer) if compiled else explainer

        def run() -> None:
            model.zero_grad()
            logits, relevance = explain(self.x, self.target)
            self._loss(logits, relevance).backward()

        return self.synchronized(run)

    def zennit_step(self) -> Task | None:
        """The same with zennit and create_graph, though that gradient is wrong."""
        library = _zennit()
        if library is None:
            return None
        model = copy.deepcopy(self.model).train()
        start = torch.eye(2, device=self.device)[self.target]
        composite = library.composites.EpsilonPlus()

        def run() -> None:
            model.zero_grad()
            kind = library.attribution.Gradient
            with kind(model, composite, create_graph=True) as attributor:
                logits, relevance = attributor(self.x.clone(), lambda z: start * z)
            self._loss(logits, relevance).backward()

        return self.synchronized(run)

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

        return self.synchronized(run)

    def pair_by_region(self) -> Task:
        """What tumor and rest of one share with those of the other, no factors."""
        bilrp = BiLRP(
            Explainer(self.model, "epsilon-plus", "classifier.2", check=False)
        )
        masks = torch.stack([self.mask[0], 1 - self.mask[0]])

        def run() -> Tensor:
            return bilrp.regions(self.x[:1], self.x[1:2], masks, masks)

        return self.synchronized(run)

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

        return self.synchronized(run)


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
