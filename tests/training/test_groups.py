"""Weights of groups against numbers by hand; yardsticks that are taken up again."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from lrpbook_lib.data import Augment, SliceSet, SwapBackground
from lrpbook_lib.guidance import (
    AdversarialLoss,
    CrossEntropy,
    Schedule,
    SegmentationLoss,
)
from lrpbook_lib.models import NETWORKS
from lrpbook_lib.training import (
    Experiment,
    GroupBalanced,
    GroupDRO,
    SettingsError,
    Trainer,
    TrainSettings,
    read_model,
    run_grid,
)
from lrpbook_lib.training.groups import GROUPS, Weigher

from .problems import SIZE, network, same_numbers, spots
from .test_experiments import SMALL


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


class Alone:
    """One process."""

    @staticmethod
    def all_reduce(tensor, reduce_op):
        return tensor


def samples(sites, labels):
    n = len(sites)
    arrays = np.zeros((n, 1, 2, 2)), labels, np.zeros((n, 2, 2)), np.ones((n, 2, 2))
    return SliceSet.from_arrays(*arrays, [str(i) for i in range(n)], list(sites))


def weights(weigher, index, ce, **more):
    batch = {"index": torch.tensor(index), **more}
    return weigher(batch, torch.tensor(ce), Alone).tolist()


def test_balanced_weights_by_hand():
    data = samples("AAAB", [0, 0, 1, 1])
    index, ce = [3, 0, 1, 2], [0.0] * 4
    found = weights(Weigher(GroupBalanced(), data), index, ce)
    assert found == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    found = weights(Weigher(GroupBalanced("label"), data), index, ce)
    assert found == [1, 1, 1, 1]
    both = Weigher(GroupBalanced("site-label"), data)
    assert both.names == ["share_A_HGG", "share_A_LGG", "share_B_HGG"]
    assert weights(both, index, ce) == pytest.approx([4 / 3, 2 / 3, 2 / 3, 4 / 3])
    assert sum(both.row().values()) == pytest.approx(1)
    assert Weigher(None, data).row() == {}


def test_robust_weights_by_hand():
    data = samples("AAAABBC", [0] * 7)
    weigher = Weigher(GroupDRO(step=0.5), data)
    # A twice, with mean cross entropy 2, B once with 1, C not at all.
    found = weights(weigher, [0, 4, 1], [1.0, 1.0, 3.0])
    q = np.array([math.exp(0.5 * 2), math.exp(0.5 * 1), 1]) / 3
    q /= q.sum()
    assert list(weigher.row().values()) == pytest.approx(q)
    assert found == pytest.approx([3 * q[0] / 2, 3 * q[1], 3 * q[0] / 2])
    # The loss is the mean of weight times loss: the sum of q times the means.
    assert np.mean(np.array(found) * [1, 1, 3]) == pytest.approx(q[0] * 2 + q[1] * 1)
    weights(weigher, [6], [4.0])
    q = q * [1, 1, math.exp(0.5 * 4)]
    assert list(weigher.row().values()) == pytest.approx(q / q.sum())
    # Small groups are counted as worse than they look, where they are looked at.
    careful = Weigher(GroupDRO(step=1, adjustment=2), data)
    weights(careful, [0, 4], [1.0, 1.0])
    q = np.array([math.exp(1 + 2 / 2), math.exp(1 + 2 / math.sqrt(2)), 1])
    assert list(careful.row().values()) == pytest.approx(q / q.sum())


def test_a_step_is_that_of_the_weighted_loss():
    data = spots(16).subset([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12])  # 7 and 4 of a site
    settings = TrainSettings(
        epochs=1, batch_size=16, optimizer="sgd", lr=0.1, momentum=0, clip=None
    )
    counts = dict(zip(*np.unique(data.site, return_counts=True), strict=True))
    each = torch.tensor([len(data) / 2 / counts[site] for site in data.site])
    given = torch.linspace(0, 2, len(data))
    items = [{**item, "weight": w} for item, w in zip(data, given, strict=True)]
    cases = [(GroupBalanced(), data, each), (None, items, given)]
    for groups, samples, weight in cases:
        trained, want = network(), network().eval()
        trained.features[3].p = trained.features[13].p = 0.0
        chosen = Experiment(settings=settings).but(groups=groups).settings
        Trainer(trained, settings=chosen).fit(samples)
        logits = want(torch.from_numpy(data.images))
        ce = F.cross_entropy(logits, torch.from_numpy(data.labels), reduction="none")
        (weight * ce).mean().backward()
        for p, q in zip(trained.parameters(), want.parameters(), strict=True):
            torch.testing.assert_close(p, q - 0.1 * q.grad, rtol=1e-4, atol=1e-6)


YARDSTICKS = {
    "swap": (CrossEntropy(), {"augment": SwapBackground(after=Augment())}),
    "balanced": (CrossEntropy(), {"groups": GroupBalanced("site-label")}),
    "robust": (CrossEntropy(), {"groups": GroupDRO(step=0.3)}),
    "adversary": (AdversarialLoss(0.3), {}),
    "segmentation": (SegmentationLoss(), {"guided": 0.5}),
}


@pytest.mark.parametrize("name", YARDSTICKS)
def test_a_resumed_yardstick_comes_to_the_same_numbers(name, tmp_path):
    loss, more = YARDSTICKS[name]
    settings = TrainSettings(epochs=3, lr=2e-3, schedule=Schedule(), **more)
    found = {}
    for way, epochs in {"whole": (3,), "halted": (1, 3)}.items():
        for until in epochs:
            torch.manual_seed(0)
            net = NETWORKS[loss.network or "GliomaCNN"](size=SIZE)
            chosen = Experiment(settings=settings).but(epochs=until).settings
            found[way] = Trainer(net, loss, chosen, tmp_path / way).fit(spots(32))
    assert same_numbers(found["whole"], found["halted"])
    one, other = (load_file(tmp_path / way / "checkpoint.safetensors") for way in found)
    assert all(torch.equal(one[name], other[name]) for name in one)
    if name == "robust":
        shares = found["whole"][["share_site0", "share_site1"]]
        np.testing.assert_allclose(shares.sum(1), 1)
        assert shares.nunique().min() == 3


def test_an_adversary_is_told_how_many_sites_there_are(tmp_path):
    experiment = SMALL.but(
        loss=AdversarialLoss(), model="AdversarialCNN", held_out=(), groups=GroupDRO()
    )
    again = Experiment.from_dict(json.loads(json.dumps(experiment.to_dict())))
    assert again == experiment and again.name == experiment.name != SMALL.name
    assert {SMALL.but(groups=kind()).name for kind in GROUPS.values()} != {SMALL.name}
    table = run_grid([experiment], tmp_path, slices={"spots": spots(48)})
    assert list(table["status"]) == ["done"]
    assert read_model(tmp_path / experiment.name).spec.arguments["sites"] == 2


def test_what_cannot_be():
    with pytest.raises(ValueError, match="by is 'scanner'; it takes 'site', 'label'"):
        GroupBalanced("scanner")
    with pytest.raises(ValueError, match="step=-1"):
        GroupDRO(step=-1)
    with pytest.raises(SettingsError, match=r"weighting 'GroupDRA'.*mean GroupDRO"):
        Experiment.from_dict({"settings": {"groups": {"kind": "GroupDRA"}}})
    items = list(spots(8))
    with pytest.raises(ValueError, match="Groups by site-label want data that tell"):
        Trainer(network(), settings=TrainSettings(groups=GroupDRO("site-label"))).fit(
            items
        )
    without = [{k: v for k, v in item.items() if k != "site"} for item in items]
    net = NETWORKS["AdversarialCNN"](size=SIZE)
    with pytest.raises(ValueError, match="wants 'site' of every sample"):
        Trainer(net, AdversarialLoss(), TrainSettings(epochs=5)).fit(without)
