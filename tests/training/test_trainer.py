"""The trainer: what it minimizes, what it writes, and what it does when things fail."""

import errno
import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from lrpbook_lib.attribution import explainer
from lrpbook_lib.files import progress
from lrpbook_lib.guidance import (
    LOSSES,
    CrossEntropy,
    GrazPlusLoss,
    HINTLoss,
    LRPLoss,
    RRRLoss,
    Schedule,
    SelfNormalizedLoss,
    chance_level,
    tumor_lrp_score,
)
from lrpbook_lib.models import NETWORKS
from lrpbook_lib.training import (
    AverageWeights,
    Callback,
    CheckpointError,
    DeadNetworkWarning,
    GroupBalanced,
    Hardware,
    HeatmapSnapshots,
    KeepBest,
    Milestones,
    NonFiniteError,
    Trainer,
    TrainSettings,
    auc,
    read_model,
    read_snapshots,
    summarize,
    trainer as trainer_module,
)

from .problems import SIZE, network, same_numbers, spots

QUICK = TrainSettings(epochs=2, batch_size=16, schedule=Schedule(0.6, 0.6))


@pytest.fixture(autouse=True)
def quietly(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")


@pytest.mark.parametrize("loss", [kind() for kind in LOSSES.values()], ids=repr)
def test_every_loss_trains(loss):
    data = spots(32)
    net = NETWORKS[loss.network](size=SIZE) if loss.network else network()
    history = Trainer(net, loss, QUICK).fit(data, data)
    assert list(history.index) == [0, 1]
    assert np.isfinite(history["train_loss"]).all()
    if loss.limited:
        assert history["applied_share"].max() <= 1 / 3 + 1e-6  # the limit of one half
    for column in ("val_accuracy", "val_balanced_accuracy", "val_auc", "val_score_LGG"):
        assert history[column].between(0, 1).all()
    guided = loss.attribution != "none"
    assert (history["gradient_share"].iloc[-1] > 0) == guided
    if not isinstance(loss, SelfNormalizedLoss):  # of the value of cross entropy
        assert (history["train_guidance"].abs().iloc[-1] > 0) == guided


def test_one_step_is_the_step_by_hand():
    data = spots(16)
    settings = TrainSettings(
        epochs=1,
        batch_size=16,
        optimizer="sgd",
        lr=0.1,
        momentum=0,
        clip=None,
        limit=None,
        schedule=Schedule(),
    )
    trained = network()
    trained.features[3].p = trained.features[13].p = 0.0  # the two dropouts
    want = network()
    Trainer(trained, LRPLoss(2, floor=0.1), settings).fit(data)
    x, label = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    mask, brain = torch.from_numpy(data.tumor), torch.from_numpy(data.brain)
    logits, relevance = explainer(want.eval())(x, label)
    score = tumor_lrp_score(relevance, mask, brain)
    ce = F.cross_entropy(logits, label, reduction="none")
    root = 0.1**0.5
    (ce / (root + (1 - root) * score) ** 2).mean().backward()
    for p, q in zip(trained.parameters(), want.parameters(), strict=True):
        torch.testing.assert_close(p, q - 0.1 * q.grad, rtol=1e-4, atol=1e-6)


def test_the_limit_holds_relevance_back_and_nothing_else():
    from lrpbook_lib.training.gradients import cut, descend, gradients

    fabric = Trainer(network()).fabric
    weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))

    def step(apart=True, **settings):  # gradients (3, 4) and (0, 20): norms 5 and 20
        made = [3 * weight[0] + 4 * weight[1], 20 * weight[1]]
        # The map may stand on the logits: what it sends back is its own all the same.
        made[1] = made[1] + 0 * made[0]
        leaves = cut(made)
        parts = gradients(sum(leaves), leaves, made, [weight], apart=apart)
        return descend(parts, [weight], fabric, **settings)

    for limit, factor in ((None, 1.0), (1.0, 0.25), (2.0, 0.5), (9.0, 1.0)):
        norm, (before, after) = step(limit=limit)
        assert weight.grad.tolist() == pytest.approx([3, 4 + 20 * factor])
        assert norm.item() == pytest.approx(weight.grad.norm().item())
        assert before.item() == pytest.approx(20 / 25)
        assert after.item() == pytest.approx(20 * factor / (20 * factor + 5))
    norm, shares = step(apart=False, clip=1.0)
    assert shares is None
    assert norm.item() == pytest.approx((9 + 24**2) ** 0.5)
    assert weight.grad.norm().item() == pytest.approx(1)


def test_a_dead_network_is_told():
    data, net = spots(16), network(0)
    settings = TrainSettings(epochs=1, schedule=Schedule())
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                layer.weight.zero_()
                layer.bias.fill_(-1)
    with pytest.warns(DeadNetworkWarning, match="The network is dead"):
        Trainer(net, LRPLoss(1), settings).fit(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeadNetworkWarning)
        Trainer(network(0), LRPLoss(1), settings).fit(data)


@pytest.mark.parametrize("limit", [None, 0.2])
def test_pieces_of_a_batch_make_the_step_of_the_whole(limit):
    """With weights of samples, and a last batch of three of which none is dropped."""
    data = spots(11, seed=1)
    weighed = [{**data[i], "weight": 1.0 + 0.1 * i} for i in range(len(data))]
    steps = []
    for accumulate in (1, 4, 8):
        settings = TrainSettings(
            epochs=1,
            batch_size=8,
            optimizer="sgd",
            lr=0.1,
            limit=limit,
            clip=None,
            schedule=Schedule(),
            accumulate=accumulate,
        )
        torch.manual_seed(0)
        plain = torch.nn.Sequential(  # nothing in it draws, or looks at the batch
            torch.nn.Conv2d(data.images.shape[1], 4, 5, stride=4),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.LazyLinear(2),
        )
        plain(torch.from_numpy(data.images[:1]))
        trainer = Trainer(plain, LRPLoss(2), settings)
        history = trainer.fit(weighed)
        weights = [p.detach() for p in trainer.model.parameters()]
        steps.append((weights, history["train_loss"].item()))
    (whole, loss), *others = steps
    for weights, told in others:
        assert told == pytest.approx(loss, rel=1e-5)
        torch.testing.assert_close(weights, whole, rtol=1e-4, atol=1e-6)


def test_what_looks_at_a_whole_batch_takes_it_in_one_piece():
    for other in ({"guided": 0.5}, {"groups": GroupBalanced()}):
        with pytest.raises(ValueError, match="go with accumulate=1"):
            TrainSettings(accumulate=2, **other)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_powers_learn_without_collapse_at_default_settings(power):
    """On ten seeds; the loss as published, from the same weights, does collapse."""
    train, test = spots(64, seed=1), spots(48, seed=2)
    found = {}
    for seed in range(10):
        settings = TrainSettings(epochs=12, lr=2e-3, seed=seed)
        trainer = Trainer(network(seed), LRPLoss(power), settings)
        trainer.fit(train)
        predictions = trainer.predict(test)
        assert predictions["predicted"].nunique() == 2, seed
        assert predictions.notna().all().all()
        found[seed] = summarize(predictions)["balanced_accuracy"]
    # Chance is 0.5, which is where a collapsed model stays.
    assert min(found.values()) > 0.75, found


def test_the_loss_as_published_collapses():
    train, test = spots(64, seed=1), spots(48, seed=2)
    naive = TrainSettings(
        epochs=12, lr=2e-3, clip=None, limit=None, schedule=Schedule()
    )
    said = []
    for seed in range(3):
        trainer = Trainer(network(seed), LRPLoss(3, floor=0), naive)
        trainer.fit(train)
        said.append(trainer.predict(test)["predicted"].nunique())
    assert 1 in said


def test_a_sample_without_a_mask_trains_on_cross_entropy():
    data = spots(32)
    without = data.from_arrays(
        data.images, data.labels, data.tumor * 0, data.brain, list(data.patient)
    )
    plain, guided = network(), network()
    one = Trainer(plain, CrossEntropy(), QUICK).fit(without)
    other = Trainer(guided, LRPLoss(2), QUICK).fit(without, without)
    assert one["train_loss"].to_numpy() == pytest.approx(
        other["train_loss"].to_numpy(), rel=0.05
    )  # dropout draws differ, by layout
    assert other["train_loss"].equals(other["train_ce"])
    assert other["gradient_share"].eq(0).all()
    assert math.isnan(other["val_score"].iloc[-1])
    assert math.isnan(other["train_score"].iloc[-1])


def test_effective_weight_is_the_formula():
    data = spots(16)
    net = network()
    net.features[3].p = net.features[13].p = 0.0
    x, label = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    logits, relevance = explainer(net.eval())(x, label)
    score = tumor_lrp_score(
        relevance, torch.from_numpy(data.tumor), torch.from_numpy(data.brain)
    )
    ce = F.cross_entropy(logits, label, reduction="none")
    root = 0.1**0.5
    want = (2 * ce / (root + (1 - root) * score) * (1 - root)).mean().item()
    settings = TrainSettings(epochs=1, batch_size=16, schedule=Schedule())
    history = Trainer(net, LRPLoss(2, floor=0.1), settings).fit(data)
    assert history["weight"].item() == pytest.approx(want, rel=1e-4)
    assert history["train_score"].item() == pytest.approx(score.mean().item(), rel=1e-4)


def test_predictions_against_a_loop_by_hand():
    data = spots(20)
    net = network()
    table = Trainer(net, settings=TrainSettings(batch_size=8)).predict(data)
    assert net.training, "the mode is left as it was"
    x, label = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    mask, brain = torch.from_numpy(data.tumor), torch.from_numpy(data.brain)
    logits, relevance = explainer(net.eval())(x, label)
    score = tumor_lrp_score(relevance, mask, brain).detach()
    np.testing.assert_allclose(table["score"], score, rtol=1e-4)
    np.testing.assert_allclose(table["chance"], chance_level(mask, brain), rtol=1e-6)
    np.testing.assert_allclose(
        table["p_1"], logits.softmax(1)[:, 1].detach(), rtol=1e-5
    )
    assert list(table["patient"]) == list(data.patient)
    assert list(table["predicted"]) == logits.argmax(1).tolist()


def test_metrics_against_another_library():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 200).round(1)
    label = rng.integers(3, size=200)
    table = pd.DataFrame(p, columns=["p_0", "p_1", "p_2"]).assign(
        label=label, predicted=p.argmax(1), ce=1.0, score=0.5, chance=0.1
    )
    found = summarize(table)
    assert found["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(label, p.argmax(1))
    )
    assert found["f1_weighted"] == pytest.approx(
        f1_score(label, p.argmax(1), average="weighted")
    )
    each = [roc_auc_score(label == c, p[:, c]) for c in range(3)]
    assert found["auc"] == pytest.approx(np.mean(each))


def test_a_class_absent_from_a_fold():
    table = pd.DataFrame(
        {
            "label": [1, 1],
            "predicted": [1, 0],
            "p_0": [0.2, 0.7],
            "p_1": [0.8, 0.3],
            "ce": [0.2, 1.2],
            "score": [0.4, 0.0],
            "chance": [0.1, 0.0],
        }
    )
    found = summarize(table, ("LGG", "HGG"))
    assert found["balanced_accuracy"] == 0.5
    assert found["score"] == found["score_HGG"] == 0.4
    assert all(math.isnan(found[k]) for k in ("auc", "score_LGG", "chance_LGG"))
    assert math.isnan(auc(np.array([True]), np.array([0.1])))
    with pytest.raises(ValueError, match="no predictions"):
        summarize(table.iloc[:0])


@pytest.mark.parametrize("label, said", [(2, "0 to 1"), (-1, "unknown grade")])
def test_labels_out_of_range(label, said):
    data = spots(16)
    data.table["labels"] = data.table["labels"].copy()
    data.table["labels"][3] = label
    with pytest.raises(ValueError, match=rf"Sample 3 has label {label}.*{said}"):
        Trainer(network(), LRPLoss(), QUICK).fit(data)
    with pytest.raises(ValueError, match="Sample 3 has label"):
        Trainer(network()).predict(data)


def test_nothing_to_train_on():
    data = spots(16)
    with pytest.raises(ValueError, match="no samples to train on"):
        Trainer(network()).fit(data.subset([]))
    with pytest.raises(ValueError, match="no samples to predict"):
        Trainer(network()).predict(data.subset([]))


def test_black_slices_and_a_mask_outside_the_brain():
    data = spots(32)
    images, tumor = data.images.copy(), data.tumor.copy()
    images[:4], tumor[4:8] = 0, 0
    tumor[4:8, 0, 0] = 1
    odd = data.from_arrays(
        images, data.labels, tumor, data.brain, list(data.patient), list(data.site)
    )
    trainer = Trainer(network(), LRPLoss(3), QUICK)
    history = trainer.fit(odd, odd)
    assert history.notna().all().all()
    assert trainer.predict(odd)["score"].iloc[:4].eq(0).all()


def test_items_without_masks():
    data = spots(16)
    items = [{"image": i["image"], "label": i["label"]} for i in data]
    trainer = Trainer(network(), LRPLoss(1), QUICK)
    history = trainer.fit(items, items)
    assert history["val_accuracy"].notna().all()
    assert "patient" not in trainer.predict(items)


def test_nan_stops_with_the_batch_saved(tmp_path):
    from safetensors.torch import load_file

    data = spots(32)
    data.images[5, 0, 8, 8] = np.nan
    trainer = Trainer(network(), CrossEntropy(), QUICK, tmp_path)
    with pytest.raises(NonFiniteError, match="loss is nan in epoch 0") as caught:
        trainer.fit(data)
    saved = load_file(caught.value.batch)
    assert 5 in saved["index"].tolist()
    assert saved["image"].isnan().sum() == 1
    assert "model.classifier.3.weight" in saved
    assert not (tmp_path / "checkpoint.safetensors").exists()
    assert all(v.isfinite().all() for k, v in saved.items() if k != "image")
    elsewhere = Trainer(network(), CrossEntropy(), QUICK)
    with pytest.raises(NonFiniteError) as caught:
        elsewhere.fit(data)
    assert caught.value.batch.is_file()


def test_looking_late_finds_the_same_batch_and_the_weights_before(tmp_path):
    from safetensors.torch import load_file

    from lrpbook_lib.training.finite import Watch

    model = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 1, bias=False))
    watch = Watch(model, tmp_path, rank=0, late=True)
    for step, loss in enumerate([1.0, math.inf]):
        batch = {"index": torch.tensor([step])}
        numbers = torch.tensor(loss), torch.tensor(1.0)
        watch.step(*numbers, batch, epoch=0, step=step)
        with torch.no_grad():
            model[0].weight.fill_(step)
    with pytest.raises(NonFiniteError, match="loss is inf in epoch 0, step 1"):
        watch.look()
    saved = load_file(tmp_path / "not_finite_rank0.safetensors")
    assert saved["index"].tolist() == [1]
    assert saved["model.0.weight"].item() == model[0].weight.item() == 0
    watch.look()


def test_layouts_change_no_number():
    data = spots(32)
    for loss in (CrossEntropy(), HINTLoss(), LRPLoss()):
        settings = TrainSettings(epochs=1, batch_size=16, schedule=Schedule())
        histories = [
            Trainer(
                network(), loss, settings, hardware=Hardware(channels_last=fast)
            ).fit(data, data)
            for fast in (True, False)
        ]
        for column in ("train_loss", "train_accuracy", "val_loss", "val_score"):
            one, other = (history[column].item() for history in histories)
            assert one == pytest.approx(other, rel=1e-4), (loss, column)


def test_volumes_train_and_are_explained(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv3d(1, 4, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.2),
        torch.nn.AdaptiveAvgPool3d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 2),
    )
    tumor = torch.zeros(8, 6, 6, 6)
    tumor[:, 2:4, 2:4, 2:4] = 1
    items = [
        {"image": torch.rand(1, 6, 6, 6), "label": i % 2, "tumor": tumor[i]}
        for i in range(8)
    ]
    settings = TrainSettings(epochs=1, batch_size=4, schedule=Schedule())
    for loss in (LRPLoss(), HINTLoss(), GrazPlusLoss(), CrossEntropy()):
        trainer = Trainer(
            model, loss, settings, tmp_path, [HeatmapSnapshots(items, [0, 1])]
        )
        history = trainer.fit(items, items)
        assert history["val_score"].between(0, 1).all()
        assert read_snapshots(tmp_path)["relevance"].shape == (1, 2, 1, 6, 6, 6)
        (tmp_path / "checkpoint.safetensors").unlink()


@pytest.mark.parametrize("judge", ["gradcam", "gradient", "captum:Saliency"])
def test_any_explainer_judges_and_those_with_a_graph_train(judge):
    data = spots(16)
    if judge.startswith("captum"):
        pytest.importorskip("captum")
    settings = TrainSettings(epochs=1, schedule=Schedule(), judge=judge)
    history = Trainer(network(), LRPLoss(), settings).fit(data, data)
    assert history["val_score"].between(0, 1).all()
    trained = replace(settings, composite=judge, judge=None)
    if judge.startswith("captum"):
        with pytest.raises(ValueError, match="has no graph"):
            Trainer(network(), LRPLoss(), trained).fit(data)
        return
    history = Trainer(network(), LRPLoss(), trained).fit(data)
    assert history["gradient_share"].item() > 0


def test_seeds_decide_and_the_caller_keeps_his():
    data = spots(32)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    nets = [network() for _ in range(3)]
    torch.set_rng_state(before)
    seeds = (0, 0, 1)
    histories = [
        Trainer(n, LRPLoss(), replace(QUICK, seed=s)).fit(data)
        for n, s in zip(nets, seeds, strict=True)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert same_numbers(histories[0], histories[1])
    assert not same_numbers(histories[0], histories[2])


def test_callbacks(tmp_path):
    data = spots(32)
    callbacks = [
        KeepBest("train_loss", higher_is_better=False),
        HeatmapSnapshots(data, [0, 3], every=2),
    ]
    trainer = Trainer(
        network(), LRPLoss(), replace(QUICK, lr=1e-9), tmp_path, callbacks
    )
    trainer.fit(data)
    shots = read_snapshots(tmp_path)
    assert shots["epoch"].tolist() == [0]
    assert shots["relevance"].shape == (1, 2, 3, 16, 16)
    assert np.abs(shots["relevance"]).max() == 1
    best = read_model(tmp_path).network
    for p, q in zip(best.parameters(), trainer.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="KeepBest writes files"):
        Trainer(network(), None, QUICK, None, [KeepBest("train_loss")]).fit(data)
    with pytest.raises(KeyError, match="no column 'val_los'"):
        Trainer(network(), None, QUICK, tmp_path / "b", [KeepBest("val_los")]).fit(data)
    with pytest.raises(FileNotFoundError, match="no snapshots"):
        read_snapshots(tmp_path / "nowhere")


def test_weights_are_averaged_over_the_last_epochs(tmp_path):
    """Against a mean by hand, also where the training was killed and went on."""
    data, three = spots(32), replace(QUICK, epochs=4)
    seen = []

    class Keep(Callback):
        def epoch_end(self, trainer):
            seen.append({k: t.clone() for k, t in trainer.model.state_dict().items()})

    class Kill(Callback):
        def epoch_end(self, trainer):
            if len(trainer.rows) == 3:
                raise KeyboardInterrupt

    average = AverageWeights(after=2)
    Trainer(network(), None, three, tmp_path / "a", [Keep(), average]).fit(data)
    with pytest.raises(KeyboardInterrupt):
        Trainer(network(), None, three, tmp_path / "b", [average, Kill()]).fit(data)
    Trainer(network(), None, three, tmp_path / "b", [average]).fit(data)
    for folder in ("a", "b"):
        found = read_model(tmp_path / folder).network.state_dict()
        for name, tensor in found.items():
            by_hand = (seen[2][name] + seen[3][name]) / 2
            torch.testing.assert_close(tensor, by_hand, rtol=1e-5, atol=1e-7)


def test_milestones_are_the_predictions_of_a_shorter_training(tmp_path):
    data, test = spots(32), spots(16, seed=1)
    longer = replace(QUICK, epochs=3)
    kept = [Milestones({"patients": test}, (2,))]
    Trainer(network(), LRPLoss(), longer, tmp_path, kept).fit(data)
    assert [f.name for f in tmp_path.glob("*.csv")] == ["predictions_0002.csv"]
    seen = pd.read_csv(tmp_path / "predictions_0002.csv")
    short = Trainer(network(), LRPLoss(), replace(QUICK, epochs=2))
    short.fit(data)
    known = short.predict(test)
    assert (seen["part"] == "patients").all()
    np.testing.assert_allclose(seen["ce"], known["ce"], rtol=1e-6)
    np.testing.assert_allclose(seen["score"], known["score"], rtol=1e-5)


def test_guidance_that_never_begins_is_told():
    late = replace(QUICK, schedule=Schedule(delay=3))
    with pytest.warns(UserWarning, match="begins after 3 epochs, and there are 2"):
        Trainer(network(), LRPLoss(), late)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    data = spots(16)
    known = replace(QUICK, schedule=Schedule(warmup=1))
    Trainer(network(), LRPLoss(1), known, tmp_path).fit(data)
    other = replace(known, lr=0.5)
    with pytest.raises(CheckpointError, match=r"lr: 0\.001, now 0\.5"):
        Trainer(network(), LRPLoss(1), other, tmp_path).fit(data)
    with pytest.raises(CheckpointError, match=r"loss\.power: 1, now 2"):
        Trainer(network(), LRPLoss(2), known, tmp_path).fit(data)
    with pytest.raises(CheckpointError, match=r"schedule\.delay: 0\.0, now 0\.8"):
        unlike = replace(known, epochs=3, schedule=Schedule(delay=0.8, warmup=1))
        Trainer(network(), LRPLoss(1), unlike, tmp_path).fit(data)
    longer = replace(known, epochs=3)
    assert len(Trainer(network(), LRPLoss(1), longer, tmp_path).fit(data)) == 3
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half a file")
    with pytest.raises(CheckpointError, match="Remove it to start"):
        Trainer(network(), LRPLoss(1), QUICK, tmp_path).fit(data)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    from pathlib import Path

    data = spots(16)
    two = replace(QUICK, schedule=Schedule())
    whole = Trainer(network(), LRPLoss(), two).fit(data)
    one = replace(two, epochs=1)
    Trainer(network(), LRPLoss(), one, tmp_path).fit(data)
    kept = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(self, content):
        self.open("wb").write(content[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match=r"disk is full.*goes on from the last"):
            Trainer(network(), LRPLoss(), two, tmp_path).fit(data)
    assert [f.name for f in tmp_path.iterdir()] == ["checkpoint.safetensors"]
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == kept
    resumed = Trainer(network(5), LRPLoss(), two, tmp_path).fit(data)
    assert same_numbers(resumed, whole)


def test_settings_out_of_range():
    for wrong, said in [
        ({"epochs": 0}, "epochs=0"),
        ({"lr": -1}, "lr=-1"),
        ({"clip": 0}, "clip=0"),
        ({"limit": 0}, "limit=0"),
        ({"optimizer": "lion"}, "optimizer is 'lion'"),
        ({"explain": "all"}, "explain is 'all'"),
    ]:
        with pytest.raises(ValueError, match=said):
            TrainSettings(**wrong)
    with pytest.raises(ValueError, match="precision is '16-mixed'"):
        Hardware(precision="16-mixed")
    with pytest.raises(ValueError, match="RRRLoss differentiates a gradient"):
        Trainer(network(), RRRLoss(), hardware=Hardware(compile=True))


def test_bf16_stays_close_to_full_precision():
    data = spots(32)
    settings = TrainSettings(epochs=2, batch_size=16, schedule=Schedule())
    full = Trainer(network(), LRPLoss(), settings).fit(data)
    half = Trainer(
        network(), LRPLoss(), settings, hardware=Hardware(precision="bf16-mixed")
    ).fit(data)
    assert half["train_ce"].to_numpy() == pytest.approx(full["train_ce"], rel=0.1)


def test_the_bar_is_silent_where_it_should_be(capsys):
    Trainer(network(), None, QUICK).fit(spots(16))
    caught = capsys.readouterr()
    assert caught.out == caught.err == ""


def test_the_bar_tells_how_long_it_will_take(capsys, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "0")
    Trainer(network(), None, QUICK).fit(spots(16))
    assert "0/2 epochs, ? left" in capsys.readouterr().err
    with progress(5, 3, "runs", mininterval=0) as bar:
        bar.start_t -= 60  # one run took a minute, and one is left
        bar.update()
    assert "4/5 runs, 01:00 left" in capsys.readouterr().err


def test_the_trainer_is_read_in_a_sitting():
    from pathlib import Path

    assert len(Path(trainer_module.__file__).read_text().splitlines()) < 300


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_on_a_gpu(precision):
    data = spots(32)
    on = Hardware(accelerator="cuda", precision=precision)
    history = Trainer(network(), LRPLoss(), QUICK, hardware=on).fit(data, data)
    here = Trainer(network(), LRPLoss(), QUICK).fit(data, data)
    assert history["train_ce"].to_numpy() == pytest.approx(here["train_ce"], rel=0.1)
