"""What is rendered: widgets with a picture for paper, what they carry shared."""

import base64
import copy

import pytest

from book_tools import outputs, staging
from book_tools.outputs import WIDGET_STATE, WIDGET_VIEW
from book_tools.staging import PAPER, for_page, share, with_outputs
from lrpbook_lib.explore.runtime import Package


def notebook(*names):
    """A notebook of one widget with a picture's bytes and these assets."""
    buffers = [
        {"path": ["assets", name], "encoding": "base64", "data": text(name)}
        for name in names
    ]
    picture = {"path": ["pixels"], "encoding": "base64", "data": text("own")}
    widget = {"state": {"assets": {}}, "buffers": [picture, *buffers]}
    return {"metadata": {"widgets": {WIDGET_STATE: {"state": {"w": widget}}}}}


def text(name):
    return base64.b64encode(name.encode() * 1000).decode()


def widget(book):
    return book["metadata"]["widgets"][WIDGET_STATE]["state"]["w"]


@pytest.fixture
def fetched(monkeypatch):
    files = {"runtime:script": b"script", "runtime:wasm": b"wasm"}
    monkeypatch.setattr(Package, "is_cached", lambda package: True)
    monkeypatch.setattr(staging, "packed_runtime", lambda: files)


def test_assets_leave_the_page_and_equal_ones_are_one_file(tmp_path, fetched):
    pages = [notebook("weights:a", "program:b"), notebook("weights:a")]
    for page in pages:
        share(page, tmp_path)
    first, second = (widget(page) for page in pages)
    assert [buffer["path"] for buffer in first["buffers"]] == [["pixels"]]
    named = first["state"]["assets"]
    assert set(named) == {"weights:a", "program:b", "runtime:script", "runtime:wasm"}
    assert second["state"]["assets"] == {"weights:a": named["weights:a"]}
    files = {file.stem: file.read_text() for file in (tmp_path / "shared").iterdir()}
    assert len(files) == 4
    assert text("weights:a") in files[named["weights:a"]["shared"]]


def test_without_the_runtime_the_rest_is_shared(tmp_path, monkeypatch):
    monkeypatch.setattr(Package, "is_cached", lambda package: False)
    page = notebook("weights:a", "program:b")
    share(page, tmp_path)
    assert set(widget(page)["state"]["assets"]) == {"weights:a", "program:b"}


def test_shared_assets_do_not_count_against_the_page(monkeypatch):
    page = {**notebook("weights:a"), "cells": []}
    monkeypatch.setattr(outputs, "PAGE_BUDGET", 6_000)
    assert outputs.complaints(page) == []
    widget(page)["buffers"][1]["path"] = ["pixels"]
    assert "its outputs take" in outputs.complaints(page)[0]


def test_a_widget_with_a_picture_becomes_two_outputs():
    output = {
        "output_type": "execute_result",
        "execution_count": 3,
        "data": {WIDGET_VIEW: {}, "image/png": "iVBOR", "text/plain": "words"},
        "metadata": {"image/png": {"alt": "words"}},
    }
    before = copy.deepcopy(output)
    alive, picture = for_page(output)
    assert output == before
    assert set(alive["data"]) == {WIDGET_VIEW, "text/plain"}
    assert picture["metadata"]["image/png"] == {"alt": "words", PAPER: True}
    assert for_page(alive) == [alive]


def test_a_widget_that_cannot_move_is_its_picture_and_says_so():
    picture = {"image/png": "iVBOR", "text/plain": "words"}
    about = {"output_type": "display_data", "metadata": {"image/png": {"alt": "words"}}}
    code = {"cell_type": "code", "metadata": {}, "source": "x"}
    both = {**about, "data": {WIDGET_VIEW: {}, **picture}}
    bare = {**about, "data": {WIDGET_VIEW: {}, "text/plain": "<object>"}}
    ran = {**notebook("weights:a"), "cells": [{**code, "outputs": [both, bare]}]}
    ran["cells"][0]["execution_count"] = 1
    page = with_outputs({"cells": [code], "metadata": {}}, ran, moving=False)
    assert page["metadata"] == {}
    shown = [output["data"] for output in page["cells"][0]["outputs"]]
    assert shown[0] == picture
    assert shown[1] == shown[2] == {"text/markdown": staging.STILL}
    assert with_outputs({"cells": [code], "metadata": {}}, ran)["metadata"]["widgets"]
