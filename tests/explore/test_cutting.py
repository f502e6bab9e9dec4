"""Heatmaps cut by hand: what the widget says, and what a browser makes of it."""

import gzip

import numpy as np
import pytest
import torch
from torch import nn

from lrpbook_lib.attribution import Level, Segmenter, best_dice, dice
from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore import SegmentationExplorer
from lrpbook_lib.models import GPNet


def cohort(n=3, size=16):
    """Slices with a tumor in a corner, and a map that finds it and a spot elsewhere."""
    rng = np.random.default_rng(0)
    images = rng.random((n, 2, size, size)).astype("f4") / 2 + 0.2
    tumor = np.zeros((n, size, size), np.uint8)
    tumor[:, 2:7, 3:9] = 4
    brain = np.ones_like(tumor, bool)
    brain[:, 0] = False
    heat = 0.3 * rng.random(tumor.shape) + 0.5 * (tumor > 0)
    heat[:, 12:14, 12:14] = 1
    heat[:, 0] = 2  # outside the brain
    labels = np.arange(n) % 2
    names = [f"p{i}" for i in range(n)]
    return SliceSet.from_arrays(images, labels, tumor, brain, names), heat


def network():
    torch.manual_seed(0)
    return GPNet(nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()), 4, 2)


def test_what_it_says_is_what_the_library_measures():
    slices, heat = cohort()
    shown = SegmentationExplorer(slices, {"a": heat, "b": -heat})
    levels = np.frombuffer(gzip.decompress(shown.heat), np.uint8)
    levels = levels.reshape(2, *heat.shape)
    assert levels[0].max() == 255 and not levels[1].any()
    want = best_dice(levels[0] * slices.brain, slices.tumor).mean()
    assert f"a {want:.2f}" in shown.alt()
    assert shown.about["maps"] == ["a", "b"] and shown.map == "a"
    assert not shown.assets and shown.about["probability"] == []
    assert len(shown.figure().axes) >= 3


def test_a_network_travels_as_a_program():
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    slices, heat = cohort()
    net = network()
    shown = SegmentationExplorer(slices, {"own map": heat}, net)
    assert shown.offline_note == ""
    code = gzip.decompress(shown.assets["program:own:network"])
    session = runtime.InferenceSession(code)
    assert [each.name for each in session.get_inputs()] == ["x"]
    x = shown._image([1])
    logits, maps = session.run(["logits", "relevance"], {"x": x})
    want = net.maps(torch.from_numpy(x))
    for got, ours in zip((logits, maps), want, strict=True):
        np.testing.assert_allclose(got, ours.detach(), rtol=1e-4, atol=1e-5)
    said = want[0].softmax(1)[0].tolist()
    assert shown.about["probability"][1] == pytest.approx(said, abs=1e-5)


def test_a_kernel_answers_for_edited_images():
    slices, heat = cohort()
    net = network()
    shown = SegmentationExplorer(slices, {"own map": heat}, net)
    sent = []
    shown.send = lambda content, buffers=(): sent.append((content, buffers))
    x = shown._image([2])
    message = {"kind": "explain", "id": "7"}
    shown._heard(None, {"kind": "hello"}, [])
    shown._heard(None, message, [x.tobytes()])
    assert sent[0][0] == {"kind": "hello"}
    assert sent[1][0]["id"] == "7"
    logits = net(torch.from_numpy(x))[0].tolist()
    assert sent[1][0]["logits"] == pytest.approx(logits, abs=1e-5)


def test_bad_input_is_named():
    slices, heat = cohort()
    with pytest.raises(ValueError, match="maps is empty"):
        SegmentationExplorer(slices, {})
    with pytest.raises(ValueError, match="must be of one shape"):
        SegmentationExplorer(slices, {"a": heat[:, 1:]})


@pytest.mark.browser
def test_the_slider_in_a_browser(open_alone, tmp_path):
    slices, heat = cohort()
    shown = SegmentationExplorer(slices, {"a": heat, "b": heat**2})
    page, said = open_alone(shown.export(tmp_path / "cut.html"))
    root = page.locator(".lrpx")
    slider = page.get_by_label("Threshold")
    levels = np.frombuffer(gzip.decompress(shown.heat), np.uint8)
    levels = levels.reshape(2, *heat.shape).astype(float)
    spent = []
    for at, parts in ((30, 1), (80, 1), (30, 0)):
        page.get_by_label("largest part only").set_checked(parts == 1)
        slider.fill(str(at))
        found = Segmenter(Level(2.55 * at), parts=parts)(
            levels[0, :1], slices.brain[:1]
        )
        want = dice(found, slices.tumor[:1])[0]
        assert float(root.get_attribute("data-dice")) == pytest.approx(want, abs=1e-3)
        spent.append(float(root.get_attribute("data-milliseconds")))
    assert min(spent) <= 50
    slider.press("ArrowRight")
    assert page.evaluate("() => window.lrpxModel.get('threshold')") == 31
    page.get_by_label("Map", exact=True).select_option("b")
    assert page.evaluate("() => window.lrpxModel.get('map')") == "b"
    assert not said
    page.set_viewport_size({"width": 375, "height": 800})
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 375


@pytest.mark.browser
def test_the_network_runs_on_the_page(open_alone, tmp_path):
    pytest.importorskip("onnxscript")
    from lrpbook_lib.explore.runtime import RUNTIME

    if not RUNTIME.is_cached():
        pytest.skip("the runtime for pages is not on this machine")
    slices, heat = cohort()
    net = network()
    shown = SegmentationExplorer(slices, {"a": heat}, net)
    page, said = open_alone(shown.export(tmp_path / "cut.html"))
    page.get_by_role("button", name="Erase what was found").click()
    page.wait_for_selector(".lrpx[data-after]", timeout=60_000)
    levels = np.frombuffer(gzip.decompress(shown.heat), np.uint8).reshape(heat.shape)
    found = Segmenter(Level(2.55 * shown.threshold))(levels[:1], slices.brain[:1])[0]
    x = shown._image([0])
    for channel in x[0]:
        channel[found] = channel[slices.brain[0] & ~found].mean()
    want = net(torch.from_numpy(x)).softmax(1)[0].tolist()
    got = page.locator(".lrpx").get_attribute("data-after").split()
    assert [float(p) for p in got] == pytest.approx(want, abs=2e-3)
    assert not said
