"""Guidance on a share of each batch: the same in expectation, in processes, resumed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lrpbook_lib.attribution import explainer, tumor_lrp_score
from lrpbook_lib.guidance import (
    EnergyLoss,
    HINTLoss,
    LRPLoss,
    Schedule,
    SelfNormalizedLoss,
)
from lrpbook_lib.training import Trainer, TrainSettings
from lrpbook_lib.training.batches import EpochBatches
from lrpbook_lib.training.share import guided_rows, passes, tell, widened

from .problems import network, same_numbers, spots

ONCE = TrainSettings(
    epochs=1,
    batch_size=16,
    optimizer="sgd",
    lr=0.1,
    momentum=0,
    clip=None,
    limit=None,
    schedule=Schedule(),
    guided=0.25,
)


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


def without_dropout(seed=0):
    net = network(seed)
    net.features[3].p = net.features[13].p = 0.0
    return net


def tensors(data):
    return [
        torch.from_numpy(np.asarray(a))
        for a in (data.images, data.labels, data.tumor, data.brain)
    ]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_guide_the_same_rows(world):
    for size in (3, 7, 16):
        for share in (0.01, 0.25, 0.6, 1.0):
            found = [guided_rows(size, share, rank, world) for rank in range(world)]
            wholes = {whole for _, whole in found}
            assert wholes == {max(round(share * size), world)}
            first = set(range(wholes.pop()))
            for rank, (here, _) in enumerate(found):
                mine = list(range(size))[rank::world]
                assert here > 0
                assert mine[:here] == [i for i in mine if i in first]


@pytest.mark.parametrize("loss", [SelfNormalizedLoss(2), EnergyLoss()], ids=repr)
def test_a_share_is_the_whole_in_expectation(loss):
    net, fabric = without_dropout(), Trainer(network()).fabric
    x, label, *masks = tensors(spots(8))
    module = explainer(net)

    def gradient(order, rows):
        parts = (label[order], *(m[order] for m in masks))
        if rows == 8:
            logits, relevance = module(x[order], parts[0])
            told = loss.tell(logits, parts[0], relevance, *parts[1:])
        else:
            logits, relevance = passes(module, net, x[order], parts[0], rows)
            given = (logits, parts[0], relevance, *parts[1:])
            told = tell(loss, *given, whole=rows, size=8, fabric=fabric)
            assert told.guided.tolist() == [True] * rows + [False] * (8 - rows)
        got = torch.autograd.grad(told.loss.sum(), list(net.parameters()))
        return torch.cat([g.flatten() for g in got])

    order = torch.arange(8)
    parts = [gradient(order.roll(2 * i), 2) for i in range(4)]
    whole = gradient(order, 8)
    off = (torch.stack(parts).mean(0) - whole).norm()
    assert off < 1e-4 * whole.norm() < 1e-2 * (parts[0] - whole).norm()


def test_one_step_is_the_step_by_hand():
    data, trained, want = spots(16), without_dropout(), without_dropout()
    history = Trainer(trained, LRPLoss(2), ONCE).fit(data)
    chosen = EpochBatches(16, 16, seed=0).whole()[0][:4]
    x, label, mask, brain = tensors(data)
    logits, relevance = explainer(want.eval())(x, label)
    score = tumor_lrp_score(relevance, mask, brain)
    ce = F.cross_entropy(logits, label, reduction="none")
    root = 0.1**0.5
    factor = (root + (1 - root) * score) ** -2
    # Cross entropy counts in all rows, by the factor of those with a map.
    held = torch.full((16,), factor[chosen].mean().item())
    held[chosen] = factor[chosen].detach()
    by_map = ce[chosen].detach() * factor[chosen]
    ((held * ce).mean() + by_map.mean()).backward()
    for p, q in zip(trained.parameters(), want.parameters(), strict=True):
        torch.testing.assert_close(p, q - 0.1 * q.grad, rtol=1e-4, atol=1e-6)
    row, mean = history.iloc[0], factor[chosen].mean()
    loss = mean * ce.mean() + (by_map - mean * ce[chosen]).mean()
    assert row["train_loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert row["train_ce"] == pytest.approx(ce.mean().item(), rel=1e-4)
    assert row["train_score"] == pytest.approx(score[chosen].mean().item(), rel=1e-4)


@pytest.mark.parametrize("loss", [LRPLoss(), HINTLoss()], ids=repr)
def test_batch_norm_sees_the_whole_batch(loss):
    def statistics(share):
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, 3, padding=1),
            torch.nn.BatchNorm2d(4),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(4 * 16 * 16, 2),
        )
        settings = replace(ONCE, limit=0.5, clip=1.0, guided=share)
        history = Trainer(net, loss, settings).fit(spots(16))
        assert history["gradient_share"].item() > 0
        return net[1].running_mean, net[1].running_var, history["train_ce"].item()

    for part, whole in zip(statistics(0.25), statistics(1.0), strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-4, atol=1e-6)


def test_a_resumed_training_guides_the_same_rows(tmp_path):
    schedule = Schedule(delay=1, warmup=1)
    settings = TrainSettings(epochs=4, batch_size=16, schedule=schedule, guided=0.2)
    data = spots(40)
    whole = Trainer(network(), LRPLoss(), settings).fit(data, data)
    Trainer(network(), LRPLoss(), replace(settings, epochs=2), tmp_path).fit(data, data)
    resumed = Trainer(network(7), LRPLoss(), settings, tmp_path).fit(data, data)
    assert same_numbers(whole, resumed)
    assert whole["gradient_share"].iloc[0] == 0
    assert (whole["gradient_share"].iloc[1:] > 0).all()
    assert whole["train_score"].notna().all()


def test_a_share_for_all_is_no_share():
    data = spots(16)
    one, other = (
        Trainer(network(), LRPLoss(), replace(ONCE, guided=share)).fit(data)
        for share in (1.0, 0.99)  # of sixteen rows, sixteen
    )
    assert same_numbers(one, other)


def test_the_limit_widens_with_the_noise_and_not_beyond_one():
    assert widened(None, 4.0) is None
    assert widened(0.5, 1.0) == 0.5
    assert widened(0.5, 2.25) == pytest.approx(0.75)
    assert widened(0.5, 16.0) == 1.0
    assert widened(3.0, 4.0) == 3.0  # chosen beyond: left there


def test_shares_out_of_range():
    for share in (0, -0.5, 1.5):
        with pytest.raises(ValueError, match=f"guided={share}"):
            TrainSettings(guided=share)
