"""One palette for Python and for the scripts of a page."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lrpbook_lib.explore import palette
from lrpbook_lib.explore.widgets import web

SCRIPTS = sorted(Path(web.__file__).parent.glob("*.js"))


def test_scripts_are_handed_the_palette_and_have_no_colors_of_their_own():
    first, _, rest = web.script("replay").partition("\n")
    handed = json.loads(first.removeprefix("const PALETTE = ").removesuffix(";"))
    assert handed["for"] == list(palette.FOR)
    assert handed["regions"] == {str(k): v for k, v in palette.REGIONS.items()}
    for name in set(re.findall(r"PALETTE\.(\w+)", rest)):
        assert name in handed
    for path in SCRIPTS:
        found = re.findall(r"#[0-9a-fA-F]{3,8}\b", path.read_text())
        assert not found, f"{path.name}: {found}"


@pytest.mark.browser
def test_a_page_paints_relevance_in_the_colors_of_a_figure(chromium):
    page = chromium.new_page()
    kit = web.script() + "\nexport { blend };"
    values = np.linspace(-1, 1, 41)
    painted = page.evaluate(
        """async ([kit, values]) => {
          const code = new Blob([kit], { type: "text/javascript" });
          const { blend } = await import(URL.createObjectURL(code));
          const pixels = new Uint8ClampedArray(4 * values.length);
          values.forEach((value, i) => {
            // All opaque: the weaker, the more opacity it takes.
            const one = new Uint8ClampedArray(4);
            blend(one, [0], [value], 1 / Math.sqrt(Math.abs(value) || 1));
            pixels.set(one, 4 * i);
          });
          return [...pixels];
        }""",
        [kit, values.tolist()],
    )
    page.close()
    painted = np.reshape(painted, (-1, 4))[:, :3]
    drawn = 255 * palette.RELEVANCE((values + 1) / 2)[:, :3]
    away = np.abs(values) > 0.02  # at zero both are clear
    assert np.abs(painted - drawn)[away].max() < 6
    for value, color in ((1.0, palette.FOR[2]), (-0.5, palette.AGAINST[1])):
        at = int(np.abs(values - value).argmin())
        np.testing.assert_allclose(painted[at], 255 * np.array(to_rgb(color)), atol=3)
