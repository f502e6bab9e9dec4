"""A chapter alone in Colab: the set-up cell installs the library and nothing else.

A fresh environment holds what Colab preloads, torch among it, and a stand-in for
``google.colab``. One chapter lies alone in an empty folder; its set-up cell is run as
it is, and git is told that this checkout is where the repository's address leads.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from book_tools.layout import Layout
from tests.conftest import ROOT

pytestmark = pytest.mark.xdist_group("colab")
PRELOADED = ["torch", "numpy", "scipy", "pandas", "matplotlib", "scikit-learn"]
PRELOADED += ["plotly", "ipywidgets", "joblib", "pillow", "h5py", "tqdm", "requests"]
PRELOADED += ["safetensors", "nbclient", "ipykernel", "pip"]
CHAPTER = "01_gliomas_on_mri"
STAND_IN = """
ENABLED = []
class output:
    @staticmethod
    def enable_custom_widget_manager():
        ENABLED.append(True)
        print("custom widgets on")
"""
RUN = """
import pathlib, runpy, sys
alone = runpy.run_path(sys.argv[1])
alone["run_alone"](pathlib.Path(sys.argv[2]), keep=pathlib.Path(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Python that looks like Colab's, made without this checkout's library."""
    folder = tmp_path_factory.mktemp("colab")
    uv = Path(sys.executable).with_name("uv")
    find = os.environ.get("PIP_FIND_LINKS")
    pins = folder / "pins.txt"
    pins.write_text((ROOT / "constraints.txt").read_text())
    python = folder / "venv" / "bin" / "python"
    for command in (
        [uv, "venv", "-q", "--python", sys.executable, folder / "venv"],
        [uv, "pip", "install", "-q", "--python", python, "-c", pins]
        + (["--find-links", find] if find else [])
        + PRELOADED,
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no package index to make an environment: {done.stderr}")
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").write_text(STAND_IN)
    return python


def freeze(python):
    code = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    done = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_chapter_alone_runs_in_colab(colab, tmp_path):
    before = freeze(colab)
    assert "lrpbook-lib" not in before
    # What is not committed yet belongs to this checkout, too: hand pip a clone of it.
    clone = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        [*author, "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=clone, check=True)

    chapter = ROOT / "book" / f"{CHAPTER}.ipynb"
    kept = tmp_path / "executed.ipynb"
    address = Layout(ROOT).address
    variables = {
        name: value for name, value in os.environ.items() if name != "PYTHONPATH"
    }
    done = subprocess.run(
        [colab, "-c", RUN, ROOT / ".ci" / "chapters_alone.py", chapter, kept],
        cwd=tmp_path,
        env={
            **variables,
            "PATH": f"{colab.parent}{os.pathsep}{variables['PATH']}",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{clone.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": address,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    after = freeze(colab)
    assert after["lrpbook-lib"]
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == set(), "the set-up cell touched what Colab had"
    assert "jupyter-book" not in after, "readers do not need Sphinx"

    executed = json.loads(kept.read_text())
    printed = "".join(
        "".join(output.get("text", ""))
        for cell in executed["cells"]
        for output in cell.get("outputs", ())
    )
    assert "custom widgets on" in printed
    mimes = {
        mime
        for cell in executed["cells"]
        for output in cell.get("outputs", ())
        for mime in output.get("data", ())
    }
    assert {"image/png", "text/html"} <= mimes
