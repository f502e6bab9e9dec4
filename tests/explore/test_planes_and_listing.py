"""Volumes in three planes, and the table of an explorer's slices."""

import gzip

import numpy as np
import pytest
import torch
from torch import nn

from lrpbook_lib.data import SliceSet
from lrpbook_lib.explore import CohortBrowser, HeatmapExplorer, VolumeExplorer


def head():
    """A volume whose brightest voxel, relevance and tumor are told apart."""
    volume = np.linspace(0.2, 0.3, 12 * 14 * 10).reshape(12, 14, 10)
    volume[2, 11, 7] = 1  # on one side, in front, above
    relevance = np.zeros(volume.shape)
    relevance[8, 3, 4] = 5
    labels = np.zeros(volume.shape, int)
    labels[5:7, 8:11, 2:4] = 4
    return volume, relevance, labels


def test_a_volume_starts_where_most_of_the_tumor_is():
    volume, relevance, labels = head()
    assert VolumeExplorer(volume, relevance, labels).about["start"] == [5, 8, 2]
    assert VolumeExplorer(volume, relevance).about["start"] == [8, 3, 4]
    assert VolumeExplorer(volume).about["start"] == [6, 7, 5]


def test_empty_margins_are_cut_and_positions_stay():
    volume = np.zeros((30, 30, 30))
    volume[12:18, 10:20, 14:16] = 1
    explorer = VolumeExplorer(volume, labels=(volume > 0) * 2)
    assert explorer.about["shape"] == [10, 14, 6]
    start, offset = explorer.about["start"], explorer.about["offset"]
    assert [a + b for a, b in zip(start, offset, strict=True)] == [12, 10, 14]
    assert explorer.about["regions"] == [[2, "edema"]]


def test_relevance_has_one_scale_for_the_whole_volume():
    volume, relevance, _ = head()
    relevance[1, 1, 1] = -1.25
    packed = VolumeExplorer(volume, relevance).heat
    level = np.frombuffer(gzip.decompress(packed), np.uint8).reshape(volume.shape)
    assert level[8, 3, 4] == 30
    assert level[0, 0, 0] == 15
    assert 0 <= level[1, 1, 1] < 15


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"volume": np.zeros((4, 4))}, r"volume has shape \(4, 4\); it must be"),
        ({"relevance": np.zeros((4, 4, 4))}, "must be of one shape: volume"),
        ({"spacing": (1, 0, 1)}, "three lengths"),
        ({"volume": np.full((12, 14, 10), np.nan)}, "NaN"),
    ],
)
def test_bad_volumes_are_named(change, said):
    volume, relevance, labels = head()
    given = {"volume": volume, "relevance": relevance, "labels": labels, **change}
    with pytest.raises(ValueError, match=said):
        VolumeExplorer(**given)


@pytest.mark.browser
def test_a_click_moves_all_planes_and_left_is_on_the_right(tmp_path, open_alone):
    volume, relevance, labels = head()
    explorer = VolumeExplorer(volume, relevance, labels, spacing=(2, 2, 2))
    page, said = open_alone(explorer.export(tmp_path / "volume.html"))
    planes = page.locator("canvas.lrpx-live")
    assert planes.count() == 3
    before = [planes.nth(i).screenshot() for i in range(3)]
    box = planes.nth(0).bounding_box()
    # x = 2 of 12 lies right of the middle, y = 11 of 14 above it.
    page.mouse.click(
        box["x"] + box["width"] * (12 - 2.5) / 12,
        box["y"] + box["height"] * (14 - 11.5) / 14,
    )
    outputs = page.locator("output")
    assert [outputs.nth(i).inner_text() for i in range(2)] == ["4 mm", "22 mm"]
    page.wait_for_timeout(100)
    after = [planes.nth(i).screenshot() for i in range(3)]
    assert all(a != b for a, b in zip(before, after, strict=True))
    planes.nth(0).focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowRight")  # towards the patient's left: smaller x
    assert outputs.nth(2).inner_text() == "6 mm"
    assert outputs.nth(0).inner_text() == "2 mm"
    assert said == []


@pytest.fixture
def explorer():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    tumor = np.zeros((4, 8, 8), "u1")
    tumor[:3, 2:4, 2:4] = 4
    data = SliceSet.from_arrays(
        np.random.default_rng(0).random((4, 1, 8, 8)).astype("f4"),
        [0, 1, 1, 0],
        tumor,
        np.ones((4, 8, 8), bool),
        ["anna", "ben", "ben", "carl"],
        ["A", "B", "B", "A"],
        np.arange(4),
    )
    return HeatmapExplorer({"m": model}, data, composites=["epsilon"], offline=False)


def test_rows_say_what_the_explorer_says(explorer):
    rows = CohortBrowser(explorer).about["rows"]
    assert [row["patient"] for row in rows] == ["anna", "ben", "ben", "carl"]
    for n, row in enumerate(rows):
        logits, _ = explorer.explain("m", explorer.images[n])
        assert row["m says"] == ("LGG", "HGG")[logits.argmax()]
        assert row["chance"] == pytest.approx(4 / 64 if n < 3 else 0)
    assert rows[3]["m score"] is None  # nothing to score without a tumor
    with pytest.raises(ValueError, match="no model 'n'"):
        CohortBrowser(explorer, "n")


def test_choosing_a_row_opens_the_slice_in_python_too(explorer):
    browser = CohortBrowser(explorer)
    at_first = explorer.slice
    browser.chosen = 2
    assert (at_first, explorer.slice) == (0, 2)


@pytest.mark.browser
def test_rows_are_filtered_sorted_and_opened(explorer, tmp_path, open_alone):
    page, said = open_alone(CohortBrowser(explorer).export(tmp_path / "rows.html"))
    rows = page.locator("tbody tr")
    assert rows.count() == 4
    page.get_by_label("site").select_option("B")
    assert rows.count() == 2
    assert page.locator("[role=status]").inner_text() == "2 of 4 slices"
    page.get_by_label("site").select_option("")
    page.get_by_role("button", name="patient").click()  # the other way around
    assert rows.first.inner_text().startswith("carl")
    page.evaluate(
        "document.addEventListener('lrpx:open', (e) => (window.opened = e.detail))"
    )
    page.get_by_role("button", name="Open anna").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("window.opened.slice") == 0
    assert page.evaluate("window.lrpxModel.get('chosen')") == 0
    assert page.locator("tr[aria-current]").count() == 1
    assert said == []
