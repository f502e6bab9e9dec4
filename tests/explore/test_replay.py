"""The replay of a training: what it refuses, what it says, and what a browser shows."""

import gzip
import re

import numpy as np
import pytest

from lrpbook_lib.explore import TrainingReplay

EPOCHS = [2, 4, 6, 8, 10]


def cohort():
    """Two slices with a tumor in a corner, and a model that learns to look there."""
    rng = np.random.default_rng(0)
    images = rng.random((2, 3, 16, 16)).astype("f4") + 0.1
    masks = np.zeros((2, 16, 16), int)
    masks[:, :4, :4] = 4
    elsewhere = np.ones((2, 16, 16)) - (masks > 0)
    relevance = np.stack([(masks > 0) * e + elsewhere for e in range(5)])
    run = {"relevance": relevance, "probability": np.full((5, 2), 0.75)}
    return images, masks, EPOCHS, {"plain": run}


def test_scores_are_those_of_a_hand_count():
    replay = TrainingReplay(*cohort())
    want = [16 * e / (16 * e + 240) for e in range(5)]
    np.testing.assert_allclose(
        [score[0] for score in replay.about["score"][0]], want, atol=1e-3
    )
    assert replay.about["chance"] == [16 / 256] * 2
    assert "at epoch 2: plain 0.00 and 0.75;" in replay.alt()
    assert f"at epoch 10: plain {want[-1]:.2f} and 0.75. Score" in replay.alt()
    images, masks, _, models = cohort()
    names = TrainingReplay(images, masks, list("abcde"), models, counted="explainer")
    assert "at explainer a: plain 0.00" in names.alt()
    titles = [axis.get_title() for axis in names.figure().axes]
    assert titles == list("abcde")
    late = TrainingReplay(*cohort(), counted="guidance from epoch")
    assert "at guidance from epoch 2: plain" in late.alt()


def test_maps_keep_their_sign_and_order_in_31_levels():
    images, masks, epochs, models = cohort()
    signed = np.linspace(-1, 1, 16 * 16).reshape(16, 16)
    models["plain"]["relevance"][:] = signed**3
    packed = TrainingReplay(images, masks, epochs, models).heat
    level = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(5, 2, 16, 16)
    assert level.max() == 30 and level.min() == 0
    assert (np.diff(level[0, 0].ravel().astype(int)) >= 0).all()
    assert (np.sign(level[0, 0].astype(int) - 15) * np.sign(signed) >= 0).all()


def test_two_models_of_twenty_epochs_are_light():
    rng = np.random.default_rng(0)
    images, masks = rng.random((4, 3, 64, 64)), np.ones((4, 64, 64))
    runs = {
        name: {
            "relevance": rng.standard_normal((20, 4, 3, 64, 64)),
            "probability": rng.random((20, 4)),
        }
        for name in ("plain", "guided")
    }
    replay = TrainingReplay(images, masks, range(20), runs)
    size = len(replay.heat) + len(replay.images) + len(replay.labels)
    assert size < 600_000  # pure noise, the worst that there is


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c[0].__setitem__((0, 0, 0, 0), np.nan), "images has 1 values"),
        (lambda c: c[3]["plain"].pop("probability"), r"lacks 'probability'"),
        (lambda c: c[2].append(12), "they differ along E"),
        (lambda c: c[3].clear(), "name at least one"),
    ],
)
def test_bad_input_is_named(change, said):
    given = cohort()
    given = (given[0], given[1], list(given[2]), given[3])
    change(given)
    with pytest.raises((ValueError, KeyError), match=said):
        TrainingReplay(*given)


def test_the_output_carries_a_picture_for_print():
    data, metadata = TrainingReplay(*cohort())._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data


def test_export_wants_an_html_file(tmp_path):
    with pytest.raises(ValueError, match=r"name it replay\.html"):
        TrainingReplay(*cohort()).export(tmp_path / "replay.pdf")


@pytest.mark.browser
def test_scrubbing_by_keyboard_changes_pictures_and_numbers(tmp_path, open_alone):
    path = TrainingReplay(*cohort()).export(tmp_path / "new" / "replay.html")
    page, said = open_alone(path, width=375)
    picture = page.locator("canvas.lrpx-picture").first

    def words():
        return page.locator(".lrpx-replay-words").first.inner_text()

    assert "score 0.21" in re.sub(r"\s+", " ", words())
    before = picture.screenshot()
    page.locator("input[type=range]").first.focus()
    page.keyboard.press("Home")
    page.wait_for_function(
        "() => document.querySelector('.lrpx-replay-words').innerText.includes('0.00')"
    )
    assert picture.screenshot() != before
    assert page.locator("output").first.inner_text() == "2"
    assert "epoch 2" in picture.get_attribute("aria-label")
    # Away from the slider, the widget's own keys.
    page.locator("[role=region]").focus()
    page.keyboard.press("End")
    assert page.locator("output").first.inner_text() == "10"
    page.keyboard.press("Home")
    page.keyboard.press("Space")  # play
    page.wait_for_function(
        "() => document.querySelector('output').innerText === '10'", timeout=10_000
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert said == []
