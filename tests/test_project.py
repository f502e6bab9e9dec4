"""What is said in several places is said the same; what is promised exists."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from book_tools import scripts
from book_tools.chapters import read_chapters, toc_files
from book_tools.layout import Layout
from book_tools.repository import PLACES
from tests.conftest import ROOT

LAYOUT = Layout(ROOT)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def name_of(requirement):
    return re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-")


def test_requirements_are_what_pyproject_says():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]
    book = PROJECT["optional-dependencies"]["book"]
    assert listed == sorted(PROJECT["dependencies"] + book)


def test_runtime_dependencies_have_lower_bounds_only():
    for requirement in PROJECT["dependencies"]:
        assert re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+", requirement), requirement


def test_every_requirement_has_a_tested_version():
    from packaging.requirements import Requirement

    text = (ROOT / "constraints.txt").read_text()
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)$", text, re.M))
    pins = {name_of(name): version for name, version in pins.items()}
    extras = PROJECT["optional-dependencies"].values()
    for line in PROJECT["dependencies"] + [each for extra in extras for each in extra]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[name_of(requirement.name)]), line
    assert pins["torch"] == "2.13.0"
    assert "torchvision" not in pins


def test_every_notebook_is_in_the_table_of_contents():
    listed = set(toc_files(LAYOUT))
    for path in (ROOT / "book").rglob("*"):
        if path.suffix in {".ipynb", ".md"} and ".ipynb_checkpoints" not in path.parts:
            name = path.relative_to(ROOT / "book").with_suffix("").as_posix()
            assert name in listed, f"{path.name} is not in _toc.yml"


@pytest.mark.parametrize("chapter", read_chapters(LAYOUT), ids=lambda c: c.name)
def test_chapters_are_as_chapters_must_be(chapter):
    assert chapter.complaints(LAYOUT.address) == []
    assert set(chapter.notebook["metadata"]) <= {"kernelspec", "language_info"}
    if not chapter.name[:2].isdigit():
        return  # a page of the back matter that is computed, such as a data card
    headings = re.findall(
        r"^#+ (.+)$",
        "\n".join(cell.source for cell in chapter.cells if cell.kind == "markdown"),
        re.M,
    )
    for needed in ("What this does not show", "Summary", "Exercises", "References"):
        assert needed in headings


def test_notebooks_are_stripped():
    nbstripout = Path(sys.executable).with_name("nbstripout")
    notebooks = [str(chapter.path) for chapter in read_chapters(LAYOUT)]
    keys = "metadata.widgets metadata.papermill cell.metadata.papermill"
    done = subprocess.run(
        [nbstripout, "--verify", "--keep-id", "--extra-keys", keys, *notebooks],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_repository_address_is_one():
    address = LAYOUT.address
    assert PROJECT["urls"]["Repository"] == address
    for place in PLACES:
        text = (ROOT / place).read_text()
        assert address in text, f"{place} does not name {address}"
        others = set(re.findall(r"github\.com/([\w-]+/[\w-]+)", text)) - {
            address.removeprefix("https://github.com/")
        }
        assert others == set(), f"{place} names another repository"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_targets_that_exist(path):
    workflow = yaml.safe_load(path.read_text())
    assert workflow["name"]
    assert workflow[True], "a workflow needs a trigger"  # YAML reads `on` as true
    assert workflow["permissions"], "a workflow states what it may do"
    called = set()
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] <= 120
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            if "uses" in step:
                assert re.fullmatch(r"[\w./-]+@v\d+", step["uses"])
            script = step.get("run", "")
            done = subprocess.run(
                ["bash", "-n"],
                input=re.sub(r"\$\{\{.*?\}\}", "X", script),
                text=True,
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            called |= set(re.findall(r"\bmake ([a-z][a-z-]+)", script))
    assert called, "a workflow works through make"
    assert called <= TARGETS


def test_there_is_a_workflow_for_each_promise():
    words = {path.stem for path in WORKFLOWS}
    assert {"tests", "book-gpu", "colab", "links", "install"} <= words
    gpu = (ROOT / ".github" / "workflows" / "book-gpu.yml").read_text()
    assert gpu.index("make check-gpu") < gpu.index("make book")
    assert "PROFILE=full" in gpu


def test_make_help_lists_every_target():
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for target in TARGETS:
        assert f"make {target} " in done.stdout


def test_a_wrong_python_is_refused_in_one_line(tmp_path):
    old = tmp_path / "python3"
    old.write_text(
        f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c 'import sys, runpy;"
        'sys.version_info = (3, 9, 2); sys.version = "3.9.2 (old)";'
        'runpy.run_path("book_tools/machine.py", run_name="__main__")\'\n'
    )
    old.chmod(0o755)
    command = ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "make: Python 3.9.2 is too old: 3.11.5 or newer is needed" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_missing_python_is_said(tmp_path):
    command = ["make", "setup", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no 'no-such-python' on PATH; install Python 3.11.5" in done.stdout


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"which": lambda name: None}, "git is missing"),
        (
            {"disk_usage": lambda path: SimpleNamespace(free=10**9)},
            "1.0 GB of disk free",
        ),
    ],
)
def test_a_missing_tool_or_disk_is_said(monkeypatch, broken, said):
    from book_tools import machine

    for name, stand_in in broken.items():
        monkeypatch.setattr(machine.shutil, name, stand_in)
    assert said in machine.complaint()


def test_set_repo_rewrites_every_place(tmp_path):
    from book_tools.layout import BookError
    from book_tools.repository import set_repository
    from tests.conftest import SmallBook

    book = SmallBook(tmp_path / "checkout")
    book.chapter("one", "print(1)")
    (book.root / "book" / "index.md").unlink()
    for place in PLACES:
        text = (ROOT / place).read_text()
        (book.root / place).parent.mkdir(exist_ok=True)
        (book.root / place).write_text(text)
    layout = Layout(book.root)
    old = layout.address
    with pytest.raises(BookError, match="no address like"):
        set_repository(layout, "ftp://example.org/x")
    new = "https://github.com/somebody/their-book"
    set_repository(layout, f"{new}.git")
    assert layout.address == new
    for place in PLACES:
        text = (book.root / place).read_text()
        assert new in text
        assert old not in text
    front, chapter = read_chapters(layout)
    assert front.complaints(new) == chapter.complaints(new) == []
    assert set_repository(layout, new) == []


def test_third_parties_are_named():
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text()
    for package in scripts.PACKAGES:
        (line,) = re.findall(rf"^.*{package.name} {package.version}.*$", notices, re.M)
        assert f"| {package.license}, {package.owner} |" in line


def test_no_script_of_others_and_no_registry_is_in_the_tree():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    address = re.compile("|".join(("registry[.]", "pypi[.]org", "npm" + "js")))
    for file in map(ROOT.joinpath, listed.stdout.splitlines()):
        if file.suffix in {".json", ".npz", ".png"} or not file.is_file():
            continue
        content = file.read_text(encoding="utf-8")  # text, so no font or archive
        assert file.suffix != ".js" or len(content) < 50_000, file
        assert not address.search(content), file


def test_the_wheel_is_the_library_alone():
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]
    wheel = hatch["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["lrpbook_lib"]
    assert "entry-points" not in PROJECT  # they would name what the wheel lacks
    for module in (ROOT / "lrpbook_lib").rglob("*.py"):
        assert "book_tools" not in module.read_text(encoding="utf-8"), module


def test_the_readme_trains_a_model(tmp_path, monkeypatch):
    import torch

    from lrpbook_lib.models import GliomaCNN

    text = (ROOT / "README.md").read_text()
    training, reading, _ = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    torch.manual_seed(0)
    model = GliomaCNN(size=32)
    tumor = torch.zeros(4, 32, 32)
    tumor[:, 8:16, 8:16] = 1
    names = {
        "model": model,
        "images": torch.rand(4, 3, 32, 32),
        "labels": torch.tensor([0, 1, 0, 1]),
        "tumor": tumor,
        "brain": torch.ones(4, 32, 32),
    }
    exec(training, names)
    assert all(each.grad.abs().sum() > 0 for each in model.parameters())
    monkeypatch.setenv("LRPBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    # As it stands, but a cohort of six.
    small = '"phantom", patients=6, spacing=6.0'
    exec(reading.replace('"phantom"', small), names)
    assert names["slices"].images.shape[1] == 3


def test_the_readme_says_what_was_found():
    import numpy as np

    from book_tools.cards import findings, in_short
    from lrpbook_lib.results import read_arrays, read_result

    worth, text = read_result("worth"), (ROOT / "README.md").read_text()
    assert findings(worth), "the numbers carry what it says"
    assert in_short(worth) in " ".join(text.split())
    # Its picture: the alternative text says where most of the relevance lies.
    kept, some = read_arrays("worth"), slice(1, None, 2)
    inside = {
        arm: np.average(kept["tumor"][some] > 0, weights=heat[some].clip(0))
        for arm in ("plain", "power 1")
        for heat in [kept[f"{arm}/relevance"]]
    }
    assert inside["plain"] < 0.5 < inside["power 1"]


def test_the_front_page_leads_to_every_chapter():
    pages = {each.name: each for each in read_chapters(LAYOUT)}
    front = "".join(cell.source for cell in pages["index"].cells)
    linked = set(re.findall(r"\{doc\}`(?:[^`<]*<)?(\w+)>?`", front))
    assert {name for name in pages if name[:2].isdigit()} <= linked


def test_the_readme_links_chapters_that_exist():
    text = (ROOT / "README.md").read_text()
    linked = re.findall(r"/blob/main/book/(\w+)\.ipynb", text)
    assert linked and set(linked) <= {each.name for each in read_chapters(LAYOUT)}


def test_references_have_identifiers():
    text = (ROOT / "book" / "references.bib").read_text()
    entries = re.split(r"^@", text, flags=re.M)[1:]
    for entry in entries:
        assert re.search(r"doi = \{10\.\d{4,}/\S+\}", entry), entry.splitlines()[0]
