"""What trained networks of whole heads are asked, on the people held out of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.functional import max_pool3d

from lrpbook_lib.attribution import (
    equal_volumes,
    explainer,
    flattened,
    parameter_randomization,
    region_shares,
    shuffled,
)
from lrpbook_lib.attribution.interventions import logits_of
from lrpbook_lib.data import (
    REGIONS,
    HeadSettings,
    SliceSet,
    VolumeSettings,
    cached_heads,
    find_heads,
    plan_people,
    region_maps,
)
from lrpbook_lib.data.heads.head import fetched_from
from lrpbook_lib.data.phantom.anatomy import sample
from lrpbook_lib.guidance import CrossEntropy, GrazPlusLoss
from lrpbook_lib.models import NETWORKS, GrazNet
from lrpbook_lib.training import Experiment
from lrpbook_lib.training.plain import to_dict
from lrpbook_lib.training.running import split

from .common import rows, trained_network

Volumes = Callable[..., SliceSet]


def auc_of(table: pd.DataFrame) -> float:
    """Area under the curve of ``p_1`` for ``label``; NaN where there is one class."""
    label = table["label"].to_numpy() == 1
    rank = rankdata(table["p_1"].to_numpy())
    ill, well = int(label.sum()), int((~label).sum())
    if not ill or not well:
        return float("nan")
    return float((rank[label].sum() - ill * (ill + 1) / 2) / (ill * well))


def held_out(run: Experiment, slices: SliceSet) -> np.ndarray:
    """Positions of the people that a run was tested on, the same in every space."""
    return split(run, slices)["patients"]


def answers(
    runs: Sequence[Experiment], space: str, seen: str, volumes: Volumes
) -> pd.DataFrame:
    """Probability of AD for each held-out person and each kind of input.

    Intact; the brain in one intensity; its voxels shuffled; all brains scaled to one
    volume. And what preprocessing and scanners may do at the test alone: every head a
    voxel further to the front, every brain mask a voxel wider (which only networks of
    masked input can notice), another contrast.
    """
    found = []
    whole, heads = volumes(space, seen), volumes(space, "head")
    mean = float(whole.brain.sum((1, 2, 3)).mean())
    for number, run in enumerate(runs):
        network, test = trained_network(run), held_out(run, whole)
        x = torch.from_numpy(np.asarray(whole.images[test]))
        brain = torch.from_numpy(np.asarray(whole.brain[test]))
        wider = x
        if seen == "brain":
            around = max_pool3d(brain[:, None].float(), 3, stride=1, padding=1)
            wider = torch.from_numpy(np.asarray(heads.images[test])) * around
        inputs = {
            "intact": x,
            "one intensity": flattened(x, brain),
            "shuffled": shuffled(x, brain, seed=number),
            "one volume": equal_volumes(x, brain, mean),
            "moved": x.roll(1, dims=3),
            "wider mask": wider,
            "other contrast": x**0.8,
        }
        for question, given in inputs.items():
            p = logits_of(network, given).softmax(1)[:, 1].numpy()
            found.append(
                pd.DataFrame(
                    {
                        "question": question,
                        "run": number,
                        "patient": whole.patient[test],
                        "label": whole.labels[test],
                        "p_1": p,
                    }
                )
            )
    return pd.concat(found)


def maps_of(run: Experiment, x: Tensor, rule: str) -> Tensor:
    """Relevance ``(B, 1, X, Y, Z)`` of a run's network under a rule."""
    start: Any = run.settings.start if rule == "zplus" else "logit"
    explain = explainer(trained_network(run).eval(), rule, start=start, check=False)
    with torch.no_grad():
        return torch.cat([explain(part, None)[1] for part in x.split(8)])


def is_dead(run: Experiment, whole: SliceSet) -> bool:
    """Whether nothing that held-out people show has any part in what a network says."""
    x = torch.from_numpy(np.asarray(whole.images[held_out(run, whole)]))
    return not bool(maps_of(run, x, "zplus").any())


def shares_of(
    runs: Sequence[Experiment],
    space: str,
    seen: str,
    volumes: Volumes,
    cohort: HeadSettings,
) -> list[dict[str, Any]]:
    """Shares of relevance by region: mean over people, its interval, and by chance.

    Chance is the share of what is brighter than a tenth of a head; ``untrained`` is
    what the same network says with the weights that it started from. Under z-plus, and
    of the same networks under the epsilon rule.
    """
    whole = volumes(space, seen)
    cases = find_heads(cached_heads(**to_dict(cohort)), space)
    settings = VolumeSettings(centered=space == "native", spacing=cohort.spacing)
    regions = torch.from_numpy(region_maps(cases, settings))
    kept: dict[str, list[dict[str, float]]] = {}
    for run in runs:
        test = held_out(run, whole)
        x = torch.from_numpy(np.asarray(whole.images[test]))
        torch.manual_seed(run.settings.seed)
        network = NETWORKS[run.model](size=tuple(x.shape[2:]))
        fresh = explainer(network, "zplus", start="softmax", check=False)
        with torch.no_grad():
            untrained = fresh(x, None)[1]
        given = {
            "zplus": maps_of(run, x, "zplus"),
            "epsilon": maps_of(run, x, "epsilon"),
            "untrained": untrained,
            "chance": (x > 0.1).float(),
        }
        for kind, relevance in given.items():
            found = region_shares(relevance, regions[test], REGIONS)
            frame = pd.DataFrame({k: v.numpy() for k, v in found.items()})
            kept.setdefault(kind, []).extend(frame.to_dict("records"))
    made = []
    rng = np.random.default_rng(0)
    for kind, people in kept.items():
        table = pd.DataFrame(people)
        picks = rng.integers(len(table), size=(500, len(table)))
        for region in REGIONS:
            values = table[region].to_numpy()
            low, high = np.quantile(values[picks].mean(1), (0.025, 0.975))
            made.append(
                {
                    "map": kind,
                    "region": region,
                    "share": float(values.mean()),
                    "low": float(low),
                    "high": float(high),
                }
            )
    return rows(pd.DataFrame(made))


def mean_maps(
    runs: Sequence[Experiment],
    space: str,
    seen: str,
    volumes: Volumes,
    cohort: HeadSettings,
) -> dict[str, np.ndarray]:
    """Mean relevance of each group in MNI space, in bytes, over all held-out people.

    Each map is scaled to sum to one first. Native ones are fetched by the transforms
    that the heads were made with.
    """
    whole, people = volumes(space, seen), plan_people(cohort)
    sums: dict[str, np.ndarray] = {}
    for run in runs:
        test = held_out(run, whole)
        x = torch.from_numpy(np.asarray(whole.images[test]))
        heat = maps_of(run, x, "zplus").clamp(min=0)
        heat = heat / heat.flatten(1).sum(1).clamp(min=1e-12).reshape(-1, 1, 1, 1, 1)
        for row, one in zip(test, heat, strict=True):
            person = people[int(whole.patient[row].rpartition("-")[2]) - 1]
            image = one[0].numpy()
            if space == "native":
                image = sample(one, fetched_from(person, cohort))[0]
            sums[person.group] = sums.get(person.group, 0) + image
    peak = max(float(s.max()) for s in sums.values())
    return {g: np.rint(255 * s / peak).astype(np.uint8) for g, s in sums.items()}


def randomized_maps(run: Experiment, whole: SliceSet) -> list[dict[str, Any]]:
    """Whether maps survive the loss of a network's weights, and whether classes differ.

    Rank correlation of maps before and after layers lose their weights from the output
    on, and of the maps of both classes, for z-plus and two other rules.
    """
    test = held_out(run, whole)[:8]
    x = torch.from_numpy(np.asarray(whole.images[test]))
    made = []
    for rule in ("zplus", "epsilon", "gradient_x_input"):
        start: Any = {"start": "one"} if rule != "gradient_x_input" else {}
        explain = explainer(trained_network(run).eval(), rule, check=False, **start)
        found = parameter_randomization(explain, x, 1, order="top_down")
        with torch.no_grad():
            one, other = (explain(x, target)[1].flatten(1) for target in (0, 1))
        cosine = torch.nn.functional.cosine_similarity(one, other, dim=1)
        made += [
            {"rule": rule, "what": layer, "value": float(value.mean())}
            for layer, value in found.items()
        ]
        made.append(
            {"rule": rule, "what": "cosine of classes", "value": float(cosine.mean())}
        )
    return rows(pd.DataFrame(made))


def cost_of_steps(rounds: int = 5) -> list[dict[str, Any]]:
    """CPU-seconds a volume of a plain and of a guided step, by the size of volumes.

    Plain and guided take turns; of each counts the fastest.
    """
    made = []
    torch.set_num_threads(1)
    for edge in (24, 32, 48):
        size = (edge, edge, edge)
        network = GrazNet(size=size)
        explain = explainer(network, "zplus", start="softmax", check=False)
        x = torch.rand(2, 1, *size)
        label, inside = torch.tensor([0, 1]), torch.ones(2, *size, dtype=torch.bool)
        losses = {"plain": CrossEntropy(), "Graz+": GrazPlusLoss(1.0, region="brain")}
        spent: dict[str, list[float]] = {name: [] for name in losses}
        for _ in range(rounds):
            for name, loss in losses.items():
                began = time.process_time()
                if name == "plain":
                    total = loss(network(x), label, None, inside, inside)
                else:
                    logits, relevance = explain(x, label)
                    total = loss(logits, label, relevance, inside, inside)
                total.mean().backward()
                spent[name].append((time.process_time() - began) / len(x))
        plain, guided = (min(spent[name]) for name in losses)
        made.append(
            {"edge": edge, "plain": plain, "guided": guided, "times": guided / plain}
        )
    return rows(pd.DataFrame(made))
