"""What twins tell, against networks that are known and sums made by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore import arms_figure, arms_table, difference_text
from lrpbook_lib.training import (
    Trainer,
    compare_crossed,
    compare_twins,
    cross,
    twin_measures,
    twin_table,
)

SITES = "ABCDEFG"
TREATS = dict(zip(SITES, ["HGG"] * 3 + ["LGG"] * 2 + ["mixed"] * 2, strict=True))
SCANNER = dict(zip(SITES, (2.0, 2.0, 2.0, -2.0, -2.0, 0.0, 0.0), strict=True))
ENDS = ("low", "high")


def twins(people=5, slices=2):
    return [
        (f"Phantom_{site}_{9000 + person}{grade[0]}", person, grade, site)
        for person, grade, site, _ in product(
            range(people), ("HGG", "LGG"), SITES, range(slices)
        )
    ]


def predictions(logit_of, people=5, seed=0, noise=0.0):
    """A network's answers, from a function of grade, site and person."""
    rng = np.random.default_rng(seed)
    rows = twins(people)
    logit = np.array([logit_of(g, s, p) for _, p, g, s in rows], float)
    logit += noise * rng.normal(size=len(rows))
    p = 1 / (1 + np.exp(-logit))
    return pd.DataFrame(
        {
            "label": [int(g == "HGG") for _, _, g, _ in rows],
            "p_0": 1 - p,
            "p_1": p,
            "score": rng.random(len(rows)),
            "chance": 0.1,
            "patient": [name for name, *_ in rows],
            "site": [s for *_, s in rows],
        }
    )


def value(table, arm, metric, column="estimate"):
    row = table[(table["arm"] == arm) & (table["metric"] == metric)]
    return row[column].item()


def test_shares_and_auc_are_those_of_loops():
    """Under weights, people count as often as they are drawn."""
    run = predictions(
        lambda g, s, p: (g == "HGG") + 0.3 * SCANNER[s] + 0.2 * p, noise=0.7
    )
    table = twin_table(run)
    drawn = np.array([0, 0, 3, 4, 4, 4, 1])  # person 2 is not drawn at all
    often = np.bincount(drawn, minlength=5)[table["person"] - 9000]
    found = twin_measures(table, np.stack([np.ones(len(table)), often]))

    for nth, people in enumerate((np.arange(5), drawn)):
        cells = {}
        for who, person in enumerate(people):  # one drawn twice is two people
            for grade, site in product(("HGG", "LGG"), SITES):
                mine = run[
                    run["patient"] == f"Phantom_{site}_{9000 + person}{grade[0]}"
                ]
                logits = [np.log(r.p_1 / r.p_0) for r in mine.itertuples()]
                cells[who, grade, site] = sum(logits) / len(logits)
        mean = np.mean(list(cells.values()))
        total = sum((y - mean) ** 2 for y in cells.values())
        left = 1.0
        for place, name in enumerate(("by_person", "by_grade", "by_scanner")):
            within = 0.0
            for level in {key[place] for key in cells}:
                ys = [y for key, y in cells.items() if key[place] == level]
                within += sum((y - np.mean(ys)) ** 2 for y in ys)
            assert found[name][nth] == pytest.approx(1 - within / total)
            left -= 1 - within / total
        assert found["by_rest"][nth] == pytest.approx(left)
        against = [
            (grade == "HGG", y)
            for (_, grade, site), y in cells.items()
            if {grade, TREATS[site]} == {"HGG", "LGG"}
        ]
        assert len(against) == len(people) * 5
        auc = roc_auc_score(*zip(*against, strict=True))
        assert found["auc_against_scanner"][nth] == pytest.approx(auc)


@pytest.mark.parametrize(
    "tumor, scanner, auc, shares",
    [
        (1.0, 0.0, 1.0, (1, 0)),
        (0.0, 1.0, 0.0, (0, 1)),
        # Of weights 3 on +-1/2 and 1/2 on 2, 2, 2, -2, -2, 0, 0: 9/4 and 1/4 * 136/49.
        (3.0, 0.5, 1.0, (441 / 577, 136 / 577)),
        (0.0, 0.0, 0.5, (np.nan, np.nan)),
    ],
)
def test_a_network_of_known_weights_is_seen_through(tumor, scanner, auc, shares):
    """Through images and a trainer: one channel shows the tumor, one the scanner."""
    rows = twins(people=3, slices=1)
    spot = np.zeros((8, 8), bool)
    spot[3:5, 3:5] = True
    images = np.zeros((len(rows), 2, 8, 8), "f4")
    for image, (_, _, grade, site) in zip(images, rows, strict=True):
        image[0] = spot * (grade == "HGG")
        image[1] = SCANNER[site] + 2  # as images are, without negative values
    every = np.ones((len(rows), 8, 8))
    slices = SliceSet.from_arrays(
        images,
        [int(grade == "HGG") for _, _, grade, _ in rows],
        every * spot,
        every,
        [name for name, *_ in rows],
        [site for *_, site in rows],
        classes=("LGG", "HGG"),
    )
    network = nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        network[2].weight[:] = torch.tensor([[0.0, 0.0], [16 * tumor, scanner]])
        network[2].bias[:] = 0
    table = twin_table(Trainer(network).predict(slices))
    found = twin_measures(table, np.ones((1, len(table))))
    told = [found[k].item() for k in ("by_grade", "by_scanner")]
    assert told == pytest.approx(shares, abs=1e-5, nan_ok=True)
    assert found["auc_against_scanner"].item() == pytest.approx(auc)
    if tumor or scanner:
        assert abs(found["by_person"].item() + found["by_rest"].item()) < 1e-5
    if tumor and not scanner:  # and its relevance lies where the tumor does
        seen = table.loc[table["grade"] == "HGG", "score"]
        assert seen.to_numpy() == pytest.approx(1.0)


def test_intervals_draw_people_and_runs_and_differences_are_paired():
    def arm(weight, runs):
        return [
            predictions(
                lambda g, s, p, k=k: weight * (g == "HGG") + 0.5 * SCANNER[s] + 0.1 * k,
                seed=k,
                noise=1.0,
            )
            for k in range(runs)
        ]

    arms = {"plain": arm(0.3, 4), "guided": arm(3.0, 3)}
    table = compare_twins(arms, "plain", draws=2000)
    assert set(table["protocol"]) == {"twins"} and set(table["patients"]) == {5}

    rng = np.random.default_rng(7)
    cubes = {
        name: [twin_table(run)["logit"].to_numpy().reshape(5, 2, 7) for run in runs]
        for name, runs in arms.items()
    }
    drawn = []
    for _ in range(1500):
        people, chosen = rng.integers(5, size=5), rng.integers(3, size=3)
        gap = 0.0
        for name, sign in (("guided", 1), ("plain", -1)):
            for k in chosen:
                cube = cubes[name][k][people]
                gap += sign * cube.mean((0, 2)).var() / cube.var() / 3
        drawn.append(gap)
    want = np.quantile(drawn, [0.025, 0.975])
    got = [value(table, "guided", "by_grade", f"difference_{c}") for c in ENDS]
    assert got == pytest.approx(want, abs=0.03)
    assert got[0] > 0.2

    # The figures of the book take these tables as they take the others.
    metrics = ("by_grade", "auc_against_scanner")
    assert "[" in arms_table(table, metrics, "twins").loc["guided", "by_grade"]
    text = difference_text(table, "guided", "by_grade", "twins")
    assert text.startswith(f"{value(table, 'guided', 'by_grade', 'difference'):+.2f}")
    panels = {"by_grade": None, "auc_against_scanner": 0.5, "score": "chance"}
    assert len(arms_figure(table, panels, "Twins").data) == 3


def test_twins_that_are_not_all_there_are_refused():
    run = predictions(lambda g, s, p: 0.0)
    gone = run["patient"] != "Phantom_C_9003L"
    with pytest.raises(ValueError, match=r"Of person 9003 there are 13 twins, not 14"):
        twin_table(run[gone])
    with pytest.raises(ValueError, match="p1 is no twin"):
        twin_table(run.assign(patient="p1"))


def test_answers_beyond_floating_point_stay_finite():
    run = predictions(lambda g, s, p: 1.0)
    told = twin_table(run.assign(p_0=0.0, p_1=1.0))["logit"]
    assert np.isfinite(told).all() and told.min() > 30


class Known(nn.Module):
    """The tumor's mean level, and that of the rest, each with a weight."""

    def __init__(self, inside, around):
        super().__init__()
        self.weights = inside, around

    def forward(self, x):
        tumor = torch.zeros(x.shape[2:])
        tumor[:2, :2] = 1
        inside, around = (
            (x[:, 0] * m).sum((1, 2)) / m.sum() for m in (tumor, 1 - tumor)
        )
        logit = self.weights[0] * inside + self.weights[1] * around
        return torch.stack([torch.zeros_like(logit), logit], 1)


@pytest.mark.parametrize("inside, around", [(1.0, 0.0), (0.0, 1.0), (2.0, 1.0)])
def test_scanners_in_the_tumor_and_around_it_are_told_apart(inside, around):
    rows = twins(people=3)
    level = {site: k + 1.0 for k, site in enumerate(SITES)}
    images = np.array([np.full((1, 4, 4), level[s]) for *_, s in rows], np.float32)
    masks = np.zeros((len(rows), 4, 4), bool)
    masks[:, :2, :2] = True
    names = [name for name, *_ in rows]
    labels = [int(grade == "HGG") for _, _, grade, _ in rows]
    given = SliceSet.from_arrays(
        images, labels, masks, np.ones_like(masks), names, [s for *_, s in rows]
    )
    table = cross(Known(inside, around), given, people=2)
    assert len(table) == 2 * 2 * 7 * 7
    one = table[(table["site"] == "B") & (table["tumor_site"] == "G")]
    np.testing.assert_allclose(one["logit"], inside * 7 + around * 2, rtol=1e-6)
    found = compare_crossed({"known": [table]}).set_index("metric")["estimate"]
    both = inside**2 + around**2
    assert found["by_scanner_in_tumor"] == pytest.approx(inside**2 / both)
    assert found["by_scanner_around"] == pytest.approx(around**2 / both)
    assert found["by_grade"] == pytest.approx(0, abs=1e-9)
