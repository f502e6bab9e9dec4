"""The explorer: what it computes, what it refuses, and what it does under a hand."""

import copy
import sys

import numpy as np
import pytest
import torch
from torch import nn

from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore import HeatmapExplorer
from lrpbook_lib.explore.portable import portable_program, weights
from lrpbook_lib.explore.runtime import MissingError, packed_runtime
from lrpbook_lib.explore.widgets import page as shared
from lrpbook_lib.guidance import tumor_lrp_score
from lrpbook_lib.lrp import Composite, Epsilon, Explainer, Gamma

SIZE, N = 16, 4


def net(seed=0, pool=nn.MaxPool2d):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        pool(2),
        nn.Flatten(),
        nn.Linear(4 * (SIZE // 2) ** 2, 2),
    )


def slices():
    rng = np.random.default_rng(0)
    brain = np.zeros((N, SIZE, SIZE), bool)
    brain[:, 2:14, 2:14] = True
    images = (rng.random((N, 2, SIZE, SIZE)) * brain[:, None]).astype("f4")
    tumor = np.zeros((N, SIZE, SIZE), "u1")
    tumor[:, 4:8, 3:7], tumor[:, 5:7, 4:6] = 2, 4
    return SliceSet.from_arrays(
        images,
        [0, 1, 0, 1],
        tumor,
        brain,
        ["anna", "anna", "ben", "ben"],
        ["A"] * 4,
        np.array([10, 12, 9, 11]),
        sequences=("t1", "flair"),
    )


@pytest.fixture(scope="module")
def explorer():
    models = {"plain": net(0), "guided": net(1)}
    return HeatmapExplorer(models, slices(), composites=("epsilon-gamma",))


def test_the_images_are_the_given_ones_in_256_levels_with_zero_kept(explorer):
    given = slices().images
    assert np.abs(explorer.images - given).max() <= 0.51 * given.max() / 255
    assert (explorer.images[given == 0] == 0).all()


def test_negative_intensities_keep_their_zero_too():
    images = np.linspace(-2, 5, 2 * SIZE * SIZE).reshape(1, 2, SIZE, SIZE)
    images[0, :, :3] = 0
    seen = HeatmapExplorer(net(), images, offline=False).images
    assert (seen[0, :, :3] == 0).all()
    assert np.abs(seen - images).max() < 8 / 255


def test_explaining_agrees_with_the_library(explorer):
    x = explorer.images[2]
    logits, heat = explorer.explain("guided", x, 1, epsilon=0.1, gamma=2.0)
    rules = Composite(dense=Epsilon(0.1), conv=Gamma(2.0))
    want = Explainer(net(1).eval(), rules, start="one")(torch.tensor(x)[None], 1)
    np.testing.assert_allclose(logits, want[0][0].detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(heat, want[1][0].detach(), rtol=1e-4, atol=1e-7)


def test_stored_scores_are_the_guidance_score(explorer):
    data = slices()
    rules = Composite(dense=Epsilon(), conv=Gamma())
    for m, model in enumerate((net(0), net(1))):
        with torch.no_grad():
            x = torch.tensor(explorer.images)
            _, heat = Explainer(model.eval(), rules, start="one")(x, 1)
        want = tumor_lrp_score(heat, torch.tensor(data.tumor), torch.tensor(data.brain))
        got = [row[1]["score"] for row in explorer.about["stored"][m]]
        np.testing.assert_allclose(got, want, atol=1e-3)


def test_the_models_given_stay_as_they_are():
    model = net().train()
    before = copy.deepcopy(model.state_dict())
    HeatmapExplorer(model, slices(), offline=False)
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_one_program_serves_every_model_of_an_architecture():
    ort = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    rules = Composite(dense=Epsilon(), conv=Gamma())
    x = torch.tensor(slices().images[:1])
    program = portable_program(Explainer(net(0).eval(), rules, start="one"), x)
    assert len(program) < 40_000
    session = ort.InferenceSession(program, providers=["CPUExecutionProvider"])
    model = net(7).eval()  # not the one that the program was written from
    flat, tensors = weights(model)
    feeds, at = {}, 0
    for name, shape in tensors:
        feeds[name] = flat[at : at + int(np.prod(shape))].reshape(shape)
        at += feeds[name].size
    assert at == flat.size
    feeds |= {"x": x.numpy(), "target": np.array([1])}
    knobs = {"epsilon": np.array(0.01, "f4"), "gamma": np.array(1.5, "f4")}
    logits, heat = session.run(None, feeds | knobs)
    want = Explainer(
        model, Composite(dense=Epsilon(0.01), conv=Gamma(1.5)), start="one"
    )(x, 1)
    np.testing.assert_allclose(logits, want[0].detach(), rtol=1e-4, atol=1e-5)
    pair = np.stack([heat.ravel(), want[1].detach().numpy().ravel()])
    assert np.corrcoef(pair)[0, 1] > 0.9999


def test_models_of_different_architectures_stand_side_by_side():
    pytest.importorskip("onnxscript")
    wide = nn.Sequential(nn.Flatten(), nn.Linear(2 * SIZE**2, 2))
    explorer = HeatmapExplorer(
        {"cnn": net(), "flat": wide}, slices(), composites=["epsilon-gamma"]
    )
    assert explorer.offline_note == ""
    programs = [explorer.assets[f"program:epsilon-gamma:{k}"] for k in ("cnn", "flat")]
    assert programs[0] != programs[1]


def test_an_operation_that_onnx_lacks_leaves_the_kernel_and_says_so():
    pytest.importorskip("onnxscript")
    explorer = HeatmapExplorer(net(pool=nn.AvgPool2d), slices())
    assert explorer.assets == {}
    assert "ONNX cannot express it" in explorer.offline_note


def test_without_the_package_onnx_a_kernel_is_enough(monkeypatch, tmp_path):
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "onnx", None)
    explorer = HeatmapExplorer(net(), slices())
    assert "onnx is not installed" in explorer.offline_note
    assert explorer.explain("model", explorer.images[0])[0].shape == (2,)


def answers(explorer, message, buffers=()):
    sent = []
    explorer.send = lambda content, buffers=(): sent.append((content, buffers))
    try:
        explorer._handle_custom_msg(message, buffers)
    finally:
        del explorer.send
    return sent


def test_a_kernel_answers_the_page(explorer):
    ((hello, _),) = answers(explorer, {"kind": "hello"})
    assert hello == {"kind": "hello"}
    wish = {
        "kind": "explain",
        "id": "7",
        "slice": 1,
        "edited": False,
        "model": "plain",
        "composite": "epsilon-gamma",
        "target": 1,
        "epsilon": 1e-6,
        "gamma": 0.25,
    }
    ((answer, (relevance,)),) = answers(explorer, wish)
    logits, heat = explorer.explain("plain", explorer.images[1], 1)
    assert answer["id"] == "7"
    np.testing.assert_allclose(answer["logits"], logits)
    np.testing.assert_allclose(np.frombuffer(relevance, "f4"), heat.ravel())
    image = explorer.images[1] * 0.5
    ((_, (edited,)),) = answers(
        explorer, {**wish, "edited": True}, [image.astype("f4").tobytes()]
    )
    assert edited != relevance
    ((failed, _),) = answers(explorer, {**wish, "composite": "none such"})
    assert "none such" in failed["error"]


def spoiled():
    data = slices()
    images = data.images.copy()
    images[0, 0, 3, 3] = np.nan
    return images


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: HeatmapExplorer(net(), spoiled()), "1 values that are NaN"),
        (lambda: HeatmapExplorer(net(), np.zeros((SIZE, SIZE))), r"N, C, H, W"),
        (
            lambda: HeatmapExplorer(net(), np.ones((1, 3, 16, 16)), offline=False),
            "model 'model' cannot explain images of shape",
        ),
        (lambda: HeatmapExplorer({}, slices()), "name at least one"),
        (
            lambda: HeatmapExplorer(net(), slices(), composites=("epsilon-minus",)),
            "no composite 'epsilon-minus'",
        ),
        (lambda: HeatmapExplorer(net(), slices().subset([])), "no slice"),
        (
            lambda: HeatmapExplorer(
                net(), slices().images, tumor=np.zeros((N, 8, 8)), offline=False
            ),
            "one shape",
        ),
    ],
)
def test_bad_input_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()


# -- in a browser --------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(explorer, tmp_path_factory):
    """The explorer as a file that computes by itself."""
    pytest.importorskip("onnxscript")
    try:
        packed_runtime()
    except MissingError as missing:
        pytest.skip(str(missing))
    return explorer.export(tmp_path_factory.mktemp("alone") / "explorer.html")


def settled(page):
    """Wait until the latest wish is answered."""
    page.wait_for_timeout(60)
    page.wait_for_function(
        "() => document.querySelector('.lrpx').getAttribute('aria-busy') === 'false'"
    )


def touch(page):
    page.locator("canvas.lrpx-live").first.click(position={"x": 5, "y": 5})
    page.wait_for_selector(".lrpx[data-engine=page]", timeout=30_000)
    settled(page)


READ = """() => {
  const { lrpx } = document.querySelector('.lrpx');
  const { answer } = lrpx.panels[0];
  return { logits: [...answer.logits], relevance: [...(answer.relevance ?? [])],
    score: answer.score, target: answer.target, image: [...lrpx.image], n: lrpx.n,
    epsilon: lrpx.get('epsilon'), gamma: lrpx.get('gamma') };
}"""


def agrees(explorer, read, least=0.999):
    """Whether the page found what Python finds for the very image on the page.

    Where neighbors are equal, rounding decides who wins a pooling window: ``least``.
    """
    image = np.array(read["image"], "f4").reshape(2, SIZE, SIZE)
    knobs = {name: read[name] for name in ("epsilon", "gamma")}
    logits, heat = explorer.explain("plain", image, read["target"], **knobs)
    np.testing.assert_allclose(read["logits"], logits, rtol=1e-4, atol=1e-5)
    pair = np.stack([heat.ravel(), read["relevance"]])
    assert np.corrcoef(pair)[0, 1] > least


@pytest.mark.browser
def test_the_page_computes_what_python_computes(explorer, exported, open_alone):
    page, said = open_alone(exported)
    assert page.locator(".lrpx-badge").inner_text() == "stored heatmaps"
    stored = page.evaluate(READ)
    touch(page)
    first = page.evaluate(READ)
    agrees(explorer, first)
    np.testing.assert_allclose(first["image"], explorer.images[0].ravel(), atol=1e-6)
    assert first["score"] == pytest.approx(stored["score"], abs=1e-3)
    np.testing.assert_allclose(first["logits"], stored["logits"], atol=1e-4)

    # Sliders.
    page.get_by_label("Gamma").focus()
    page.keyboard.press("End")
    settled(page)
    second = page.evaluate(READ)
    assert second["gamma"] == 3
    agrees(explorer, second)
    assert not np.allclose(first["relevance"], second["relevance"])
    page.get_by_label("Epsilon").focus()
    page.keyboard.press("End")
    settled(page)
    third = page.evaluate(READ)
    assert third["epsilon"] == pytest.approx(10)
    agrees(explorer, third)
    assert np.abs(third["relevance"]).sum() < np.abs(second["relevance"]).sum()

    # Another patient, another class.
    page.get_by_label("Patient", exact=True).select_option("ben")
    settled(page)
    assert page.evaluate(READ)["n"] == 2
    page.get_by_label("Heatmap explains").select_option("1")
    settled(page)
    fourth = page.evaluate(READ)
    assert fourth["target"] == 1
    agrees(explorer, fourth)
    assert said == []


@pytest.mark.browser
def test_editing_the_image_changes_the_answer_and_can_be_undone(
    explorer, exported, open_alone
):
    page, said = open_alone(exported)
    touch(page)
    before = page.evaluate(READ)
    lesion = slices().tumor[0] > 0

    page.get_by_role("button", name="Erase the tumor").click()
    settled(page)
    erased = page.evaluate(READ)
    agrees(explorer, erased)
    assert erased["logits"] != before["logits"]
    change = np.array(erased["image"]) != np.array(before["image"])
    np.testing.assert_array_equal(change.reshape(2, SIZE, SIZE).any(0), lesion)
    assert "was" in page.locator(".lrpx-panel .lrpx-value").first.inner_text()

    page.get_by_role("button", name="Undo").click()
    settled(page)
    assert page.evaluate(READ)["image"] == before["image"]

    # By hand: paint over a corner of the brain, with the mouse.
    page.get_by_role("button", name="Paint tumor").click()
    canvas = page.locator("canvas.lrpx-live").first
    box = canvas.bounding_box()
    picture = canvas.screenshot()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.6 * box["height"])
    page.mouse.down()
    page.mouse.move(
        box["x"] + 0.75 * box["width"], box["y"] + 0.6 * box["height"], steps=4
    )
    page.mouse.up()
    settled(page)
    painted = page.evaluate(READ)
    agrees(explorer, painted, least=0.98)  # paint is of one tone
    here = np.array(painted["image"]).reshape(2, SIZE, SIZE)
    there = explorer.images[0]
    tone = [channel[lesion].mean() for channel in there]
    touched = (here != there).any(0)
    assert 5 < touched.sum() < 60 and not touched[:, :7].any()
    np.testing.assert_allclose(here[:, touched].T - tone, 0, atol=1e-5)
    assert canvas.screenshot() != picture

    # A sequence less: its plane is zero.
    page.get_by_role("button", name="Start over").click()
    page.get_by_label("t1", exact=True).uncheck()
    settled(page)
    dropped = page.evaluate(READ)
    agrees(explorer, dropped)
    assert not np.any(np.array(dropped["image"])[: SIZE * SIZE])
    assert said == []


@pytest.mark.browser
def test_everything_by_keyboard_on_a_phone(exported, open_alone):
    page, said = open_alone(exported, width=375, height=740)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.keyboard.press("Tab")
    assert page.locator(".lrpx").get_attribute("data-engine") == "stored"
    page.keyboard.press("Tab")  # the first key inside the widget
    page.wait_for_selector(".lrpx[data-engine=page]", timeout=30_000)
    settled(page)
    before = page.evaluate(READ)
    page.keyboard.press("n")
    page.locator("canvas.lrpx-live").first.focus()
    page.keyboard.press("n")
    settled(page)
    assert page.evaluate(READ)["n"] == 1
    page.keyboard.press("e")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert "x 5, y 8" in page.locator(".lrpx-reading").inner_text()
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate(READ)["image"] != before["image"]
    assert page.locator("button", has_text="Undo").is_enabled()
    page.keyboard.press("z")
    page.keyboard.press("t")
    settled(page)
    assert page.evaluate(READ)["target"] == 0
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('.lrpx :is(button, select, input)')]
          .filter((each) => each.offsetParent && each.type !== 'file')
          .map((each) => (each.closest('.lrpx-check') ?? each).getBoundingClientRect())
          .map(({ height }) => Math.round(height))"""
    )
    assert min(sizes) >= 28, "too small for a finger"
    assert said == []


@pytest.mark.browser
def test_two_explorers_on_a_page_share_a_worker_and_nothing_else(exported, open_alone):
    page, said = open_alone(exported)
    page.evaluate(
        """async () => {
          const code = document.getElementById('module').textContent;
          const text = code.replaceAll('<\\\\/', '</');
          const blob = new Blob([text], { type: 'text/javascript' });
          const { default: widget } = await import(URL.createObjectURL(blob));
          const el = document.createElement('div');
          document.body.append(el);
          const own = { slice: 3 };
          const model = { ...lrpxModel, on() {}, off() {},
            get: (name) => own[name] ?? lrpxModel.get(name),
            set: (name, value) => (own[name] = value) };
          await widget.render({ model, el });
        }"""
    )
    both = page.locator(".lrpx")
    assert both.count() == 2
    for i in range(2):
        both.nth(i).locator("canvas.lrpx-live").first.click()
        page.wait_for_function(
            "i => document.querySelectorAll('.lrpx')[i].dataset.engine === 'page'",
            arg=i,
        )
    assert len(page.workers) == 1
    both.nth(1).get_by_label("Gamma").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    gammas = page.evaluate(
        "[...document.querySelectorAll('.lrpx')].map(({ lrpx }) => lrpx.get('gamma'))"
    )
    assert gammas == [0.25, 3]
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(({ id }) => id)")
    assert len(ids) == len(set(ids))
    assert said == []


@pytest.mark.browser
def test_memory_is_steady_over_two_hundred_moves(exported, open_alone):
    page, said = open_alone(exported)
    touch(page)
    client = page.context.new_cdp_session(page)

    def moves(count):
        page.evaluate(
            """async (count) => {
              const { lrpx } = document.querySelector('.lrpx');
              for (let i = 0; i < count; i += 1) {
                lrpx.set('gamma', (i % 20) / 10);
                await lrpx.request();
              }
            }""",
            count,
        )
        client.send("HeapProfiler.collectGarbage")
        return page.evaluate("performance.memory.usedJSHeapSize")

    start = moves(20)
    assert moves(200) - start < 3_000_000
    assert said == []


@pytest.mark.browser
@pytest.mark.parametrize("lack", ["runtime", "WebAssembly"])
def test_without_a_runtime_stored_heatmaps_are_shown_and_said(
    lack, explorer, exported, open_alone, tmp_path, monkeypatch
):
    path = exported
    if lack == "runtime":

        def missing():
            raise MissingError("no network")

        monkeypatch.setattr(shared, "packed_runtime", missing)
        path = explorer.export(tmp_path / "stored.html")
    page, said = open_alone(
        path, script="delete globalThis.WebAssembly" if lack != "runtime" else ""
    )
    before = page.evaluate(READ)
    page.locator("canvas.lrpx-live").first.click()
    notice = page.locator(".lrpx-notice")
    notice.wait_for(state="visible")
    assert "stored" in notice.inner_text()
    assert lack.lower() in notice.inner_text().lower()
    assert page.get_by_label("Gamma").is_disabled()
    page.get_by_label("Patient", exact=True).select_option("ben")
    page.wait_for_function(
        "before => document.querySelector('.lrpx').lrpx.panels[0].answer.score"
        " !== before",
        arg=before["score"],
    )
    assert said == []
