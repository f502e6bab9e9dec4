"""The explorer in a live JupyterLab: Python computes, and hears what the reader does.

JupyterLab must not enter the book's own environment, which it would slow down. Name
the Python of one that has it and this library: ``LRPBOOK_JUPYTERLAB=.../python``.
"""

import json
import os
import re
import socket
import subprocess
import time
import urllib.request

import pytest

from tests.conftest import notebook

PYTHON = os.environ.get("LRPBOOK_JUPYTERLAB")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not PYTHON, reason="LRPBOOK_JUPYTERLAB names no Python"),
]
MAKE = """
import numpy as np, torch
from torch import nn
from lrpbook_lib.explore import HeatmapExplorer
torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                    nn.Flatten(), nn.Linear(256, 2))
images = np.random.default_rng(0).random((3, 2, 16, 16))
explorer = HeatmapExplorer(net, images, composites=["epsilon-gamma"], offline=False)
explorer
"""
TELL = """
logits, heat = explorer.explain("model", explorer.images[explorer.slice])
print("python:", explorer.gamma, explorer.slice, float(np.abs(heat).sum()))
"""


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "live.ipynb").write_text(json.dumps(notebook(MAKE, TELL)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--ServerApp.ip=127.0.0.1",
        "--IdentityProvider.token=",
        f"--ServerApp.root_dir={tmp_path}",
        "--LabApp.news_url=",
    ]
    log = (tmp_path / "lab.log").open("w")
    server = subprocess.Popen(
        [PYTHON, "-m", "jupyterlab", *options], stdout=log, stderr=log, cwd=tmp_path
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=2).close()
            break
        except OSError:
            time.sleep(0.5)
    yield address
    server.terminate()
    server.wait(20)
    log.close()


def test_a_kernel_computes_and_follows(lab, chromium):
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.goto(f"{lab}/lab/tree/live.ipynb")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.wait_for_selector(".lrpx[data-engine=kernel]", timeout=240_000)
    read = (
        "() => { const { lrpx } = document.querySelector('.lrpx[data-engine]');"
        " return lrpx.panels[0].answer.relevance.reduce("
        "(sum, value) => sum + Math.abs(value), 0) }"
    )
    page.wait_for_function("() => document.querySelector('.lrpx').dataset.answers > 1")
    before = page.evaluate(read)
    assert page.locator(".lrpx-badge").inner_text() == "computed by Python"

    page.get_by_label("Image", exact=True).select_option("image 3")
    page.get_by_label("Gamma").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(500)
    idle = "() => document.querySelector('.lrpx').getAttribute('aria-busy') === 'false'"
    page.wait_for_function(idle)
    after = page.evaluate(read)
    assert after != pytest.approx(before)

    page.get_by_label("c0", exact=True).uncheck()  # an edited image travels to Python
    page.wait_for_timeout(500)
    page.wait_for_function(idle)
    assert page.evaluate(read) != pytest.approx(after)
    assert page.locator(".lrpx-notice").is_hidden()
    page.get_by_label("c0", exact=True).check()

    page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(
        "() => /python: 3(.0)? 2/.test("
        "document.querySelector('.jp-Notebook').innerText)",
        timeout=30_000,
    )
    told = re.findall(
        r"python: \S+ \d (\S+)", page.locator(".jp-Notebook").inner_text()
    )
    assert after == pytest.approx(float(told[-1]), rel=1e-4)
    context.close()
