"""Figures of cohorts and slices: what they hold, not how they look."""

import base64
import io
import json

import numpy as np
import pandas as pd
from PIL import Image

from lrpbook_lib.explore import (
    choice_along_z,
    cohort_explorer,
    intensity_curves,
    paint,
    protocol_scores,
    site_grade_bars,
    slice_browser,
    slice_panels,
    three_planes,
)
from lrpbook_lib.explore.palette import REGIONS


def small_volumes():
    rng = np.random.default_rng(0)
    t1 = rng.uniform(1, 2, (12, 14, 10))
    seg = np.zeros(t1.shape, np.uint8)
    seg[3:8, 4:9, 2:7] = 2
    seg[4:6, 5:7, 3:5] = 4
    return {"t1": t1, "t2": 3 - t1, "seg": seg}


def test_paint_outlines_regions_and_leaves_the_rest():
    volumes = small_volumes()
    image, labels = volumes["t1"][..., 4] / 2, volumes["seg"][..., 4]
    picture = paint(image, labels)
    assert picture.shape == (12, 14, 3) and picture.dtype == np.uint8
    free = labels == 0
    np.testing.assert_array_equal(picture[free], paint(image)[free])
    corner = "#{:02X}{:02X}{:02X}".format(*picture[3, 4])
    assert corner == REGIONS[2]


def test_slice_browser_carries_its_pictures_and_stops():
    volumes = small_volumes()
    images = np.stack([volumes["t1"] / 2, volumes["t2"] / 2]).transpose(3, 0, 1, 2)
    labels = volumes["seg"].transpose(2, 0, 1)
    stops = [str(z) for z in range(10)]
    fig = slice_browser(images, labels, ["T1", "T2"], stops, "Synthetic patient")
    assert [frame.name for frame in fig.frames] == stops
    data = fig.frames[4].data[0].source.removeprefix("data:image/png;base64,")
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    np.testing.assert_array_equal(picture[:, :14], paint(images[4, 0], labels[4]))
    np.testing.assert_array_equal(picture[:, 14:], paint(images[4, 1], labels[4]))
    assert "T1, T2" in fig.layout.meta["alt"]
    assert len(fig.layout.sliders[0].steps) == 10


def test_cohort_explorer_filters_points_and_table_by_site():
    table = pd.DataFrame(
        {
            "id": list("abcd"),
            "site": ["A", "A", "B", "B"],
            "grade": ["HGG", "LGG", "HGG", "HGG"],
            "x": [1.0, 2, 3, 4],
            "y": [5.0, 6, 7, 8],
        }
    )
    fig = cohort_explorer(table, "x", "y", ["id", "site"], "A cohort")
    menu = {
        button.label: button.args[0] for button in fig.layout.updatemenus[0].buttons
    }
    assert list(menu) == ["all sites", "A", "B"]
    assert menu["A"]["x"][:2] == [[1.0], [2.0]]
    assert menu["B"]["y"][:2] == [[7.0, 8.0], []]
    assert menu["B"]["cells.values"][2] == [["c", "d"], ["B", "B"]]
    json.loads(fig.to_json())


def test_bars_and_scores_say_their_numbers():
    counts = pd.DataFrame({"HGG": [3, 0, 2], "LGG": [0, 4, 1]}, index=["A", "B", "F"])
    bars = site_grade_bars(counts, "Patients")
    assert "of 3 sites, 1 have" in bars.layout.meta["alt"]
    assert [list(trace.x) for trace in bars.data] == [[3, 0, 2], [0, 4, 1]]
    scores = protocol_scores({"by slice": [0.9, 1.0], "by patient": [0.5]}, 0.5, "Two")
    assert "by slice 0.95" in scores.layout.meta["alt"]


def test_matplotlib_figures_have_a_panel_for_everything():
    volumes = small_volumes()
    assert len(three_planes(volumes, ["t1", "t2"], (1, 1, 2)).axes) == 6
    pair = [volumes["t1"][..., 3] / 2] * 2
    masks = [volumes["seg"][..., 3]] * 2
    assert [a.get_title() for a in slice_panels(pair, masks, ["a", "b"]).axes] == [
        "a",
        "b",
    ]
    values = {"A": volumes["t1"].ravel(), "B": volumes["t2"].ravel()}
    assert len(intensity_curves({"raw": values, "scaled": values}).axes) == 2
    area = (volumes["seg"] > 0).sum((0, 1)) * 1.0
    fig = choice_along_z(area, {"HGG": np.array([3, 5]), "LGG": np.array([4])})
    assert len(fig.axes[0].lines) == 2
