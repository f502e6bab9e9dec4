"""What widgets carry becomes files that the whole site shares."""

import base64
import copy

import pytest

from book_tools import outputs, shared
from book_tools.mime import PAPER, WIDGET_STATE, WIDGET_VIEW
from book_tools.render import for_paper
from lrpbook_lib.explore import runtime


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
    monkeypatch.setattr(runtime, "packed_runtime", lambda: files)


def test_assets_leave_the_page_and_equal_ones_are_one_file(tmp_path, fetched):
    pages = [notebook("weights:a", "program:b"), notebook("weights:a")]
    for page in pages:
        shared.share(page, tmp_path)
    first, second = (widget(page) for page in pages)
    assert [buffer["path"] for buffer in first["buffers"]] == [["pixels"]]
    named = first["state"]["assets"]
    assert set(named) == {"weights:a", "program:b", "runtime:script", "runtime:wasm"}
    assert second["state"]["assets"] == {"weights:a": named["weights:a"]}
    files = {file.stem: file.read_text() for file in (tmp_path / "shared").iterdir()}
    assert len(files) == 4
    assert text("weights:a") in files[named["weights:a"]["shared"]]


def test_without_the_runtime_pages_are_built_and_it_is_said(
    tmp_path, monkeypatch, capsys
):
    def missing():
        raise runtime.RuntimeMissingError("onnxruntime-web could not be fetched")

    monkeypatch.setattr(runtime, "packed_runtime", missing)
    page = notebook("weights:a", "program:b")
    shared.share(page, tmp_path)
    assert set(widget(page)["state"]["assets"]) == {"weights:a", "program:b"}
    assert "show stored heatmaps" in capsys.readouterr().err


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
    alive, picture = for_paper(output)
    assert output == before
    assert set(alive["data"]) == {WIDGET_VIEW, "text/plain"}
    assert picture["metadata"]["image/png"] == {"alt": "words", PAPER: True}
    assert for_paper(alive) == [alive]


def test_an_altered_runtime_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "cache_home", lambda: tmp_path)
    home = tmp_path / f"{runtime.PACKAGE}-{runtime.VERSION}"
    home.mkdir()
    for name, _ in runtime.FILES.values():
        (home / name.rpartition("/")[2]).write_bytes(b"something else")
    assert runtime.is_cached()
    with pytest.raises(runtime.RuntimeMissingError, match="was altered"):
        runtime.runtime()


def test_no_npm_and_no_network_is_said_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "cache_home", lambda: tmp_path)
    monkeypatch.setattr(runtime, "ARCHIVE", "http://127.0.0.1:9/none.tgz")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(runtime.RuntimeMissingError, match="could not be fetched"):
        runtime.runtime()
