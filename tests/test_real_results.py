"""How settings on real data are chosen: inside the training, by the Brier score."""

import pandas as pd
import pytest

from data_scripts.results import real
from data_scripts.results.real import candidates, choose, settled, tuned
from lrpbook_lib.data import Augment, RandomizeScanner
from lrpbook_lib.training import Experiment

START = Experiment(data="x").but(epochs=4, milestones=(2,))


def test_an_augmentation_goes_before_the_scanner():
    start = START.but(augment=RandomizeScanner())
    own = tuned(start, "augmented").settings.augment
    assert own == RandomizeScanner(after=Augment())
    assert tuned(start, "as they are").settings.augment == RandomizeScanner()
    assert tuned(START, "augmented").settings.augment == Augment()


def test_all_candidates_are_inside_and_what_won_is_not():
    changes = {"plain": START, "oracle": START.but(view="tumor")}
    tried = candidates(changes, ["plain"])
    assert len(tried) == 2 and all(e.inner for runs in tried.values() for e in runs)
    arms = settled(changes, {"chosen": {"plain": "augmented"}})
    for runs in arms.values():
        assert [(e.settings.seed, e.fold) for e in runs] == [(s, s) for s in range(5)]
        assert not any(e.inner for e in runs)
        assert all(e.settings.augment == Augment() for e in runs)
    assert arms["oracle"][0].view == "tumor"


def test_the_least_brier_score_at_the_end_wins(tmp_path, monkeypatch):
    monkeypatch.setattr(real, "runs_folder", lambda: tmp_path)
    tried = candidates({"plain": START}, ["plain"])
    #: What is said of a true one: at the milestone, and in the end.
    said = {"as they are": (0.9, 0.6), "augmented": (0.5, 0.8)}
    for (_, name), runs in tried.items():
        for run in runs:
            home = tmp_path / run.name
            home.mkdir()
            for p, file in zip(said[name], ("_0002", ""), strict=True):
                table = pd.DataFrame({"label": [1, 0], "predicted": [1, 0]})
                table = table.assign(p_0=[1 - p, p], p_1=[p, 1 - p], score=0.0)
                table = table.assign(
                    chance=0.0, ce=0.0, patient=["a", "b"], part="patients"
                )
                table.to_csv(home / f"predictions{file}.csv", index=False)
    found = choose(tried)
    assert found["chosen"] == {"plain": "augmented"}
    brier = {(r["augment"], r["epochs"]): r["brier"] for r in found["searched"]}
    # Summed over both classes: 2 (1 - p)^2.
    assert brier["as they are", 2] == pytest.approx(0.02)
    assert brier["as they are", 4] == pytest.approx(0.32)
    assert brier["augmented", 4] == pytest.approx(0.08)
