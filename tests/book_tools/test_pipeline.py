"""The pipeline on small books: what is run, what is kept, what is refused."""

import copy
import json
import shutil
import time

import pytest

from book_tools.chapters import read_chapters
from book_tools.execute import plan
from book_tools.layout import Layout
from tests.conftest import SmallBook, run_book


@pytest.fixture(scope="module")
def built_once(tmp_path_factory):
    book = SmallBook(tmp_path_factory.mktemp("built") / "checkout")
    book.chapter("one", "print('good')")
    done = book.build()
    assert done.returncode == 0, done.stderr
    return book


@pytest.fixture
def good_book(built_once, tmp_path):
    """A built book of one chapter, a copy for each test: it knows no place by name."""
    book = copy.copy(built_once)
    book.root, book.names = tmp_path / "good", list(built_once.names)
    book.html = book.root / "_build" / "html"
    shutil.copytree(built_once.root, book.root, symlinks=True)
    return book


def executed(book, name):
    return json.loads((book.root / "_build" / "executed" / f"{name}.ipynb").read_text())


def printed(book, name):
    cells = executed(book, name)["cells"]
    return [
        "".join(output["text"])
        for cell in cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
    ]


def test_only_what_changed_runs_again(small_book):
    small_book.chapter("one", "import time\nprint(time.time_ns())")
    small_book.chapter("two", "import time\nprint(time.time_ns())")
    first = small_book.build()
    assert first.returncode == 0, first.stderr
    assert "2 chapters run, 0 kept; rendered" in first.stderr
    assert first.stdout.strip() == (small_book.html / "index.html").as_uri()
    one, two = printed(small_book, "one"), printed(small_book, "two")
    assert one[0].strip() in (small_book.html / "one.html").read_text()

    clock = time.perf_counter()
    assert "0 chapters run, 2 kept; already up to date" in small_book.build().stderr
    assert time.perf_counter() - clock < 5

    small_book.chapter("two", "import time\nprint(time.time_ns(), 'edited')")
    assert "1 chapters run, 1 kept; rendered" in small_book.build().stderr
    assert printed(small_book, "one") == one
    assert printed(small_book, "two") != two

    # New prose is on the page at once and costs no run.
    small_book.chapter(
        "two", "import time\nprint(time.time_ns(), 'edited')", "#md New prose."
    )
    assert "0 chapters run, 2 kept; rendered" in small_book.build().stderr
    page = (small_book.html / "two.html").read_text()
    assert "New prose." in page
    assert "edited" in page


def test_real_data_that_appears_or_changes_runs_everything_again(good_book):
    assert "0 chapters run" in good_book.build().stderr
    data = good_book.root / "data"
    data.mkdir()
    (data / "volume.bin").write_bytes(b"1")
    assert "1 chapters run" in good_book.build(LRPBOOK_DATA=str(data)).stderr
    assert "0 chapters run" in good_book.build(LRPBOOK_DATA=str(data)).stderr
    (data / "volume.bin").write_bytes(b"2")
    assert "1 chapters run" in good_book.build(LRPBOOK_DATA=str(data)).stderr


def test_the_library_and_the_profile_are_part_of_the_key(small_book):
    library = small_book.root / "lrpbook_lib"
    real = library.resolve()
    library.unlink()
    library.mkdir()
    for item in real.iterdir():
        (library / item.name).symlink_to(item)
    small_book.chapter("one", "print(profile, seed)")

    def key(seed, profile="book"):
        layout = Layout(small_book.root, profile)
        given = {"profile": profile, "seed": seed}
        return plan(layout, read_chapters(layout), given)[0].key

    small_book.build("--seed", "3")
    assert printed(small_book, "one") == ["book 3\n"]
    assert executed(small_book, "one")["metadata"]["lrpbook"]["key"] == key(3)
    before = {key(3), key(4), key(3, "smoke")}
    assert len(before) == 3
    (library / "new_module.py").write_text("VALUE = 1\n")
    assert not before & {key(3), key(4), key(3, "smoke")}
    assert "1 chapters run" in small_book.build("--profile", "smoke").stderr
    # The other profile's book stands where it was.
    assert small_book.html.is_dir()
    assert (small_book.root / "_build" / "smoke" / "html" / "index.html").is_file()


def test_a_failing_cell_stops_the_build_and_leaves_the_last_book(good_book):
    page = (good_book.html / "one.html").read_text()
    good_book.chapter("one", "print('good')", "#md words", "1 / 0")
    done = good_book.build()
    assert done.returncode == 1
    assert "one, cell 7 failed (ZeroDivisionError)" in done.stderr
    assert "----> 1 1 / 0" in done.stderr
    assert "book_tools" not in done.stderr  # no traceback of our own
    assert (good_book.html / "one.html").read_text() == page
    # Mended, it is built again.
    good_book.chapter("one", "print('mended')")
    assert good_book.build().returncode == 0
    assert "mended" in (good_book.html / "one.html").read_text()


def test_a_chapter_that_fails_does_not_take_the_others_along(small_book):
    small_book.chapter("bad", "raise ValueError('no')")
    small_book.chapter("good", "print('kept')")
    assert small_book.build("--jobs", "2").returncode == 1
    small_book.chapter("bad", "print('mended')")
    assert "1 chapters run, 1 kept" in small_book.build().stderr


def test_rendering_is_strict_and_leaves_the_last_book(good_book):
    good_book.chapter("one", "print('good')", "#md A [link](nowhere.md) to nothing.")
    done = good_book.build()
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr
    assert "nowhere.md" not in (good_book.html / "one.html").read_text()


UNSEEN = {
    "no page can show application/x-unknown": (
        "from IPython.display import display\n"
        "display({'application/x-unknown': 'x'}, raw=True)"
    ),
    "a plotly figure without traces": (
        "import plotly.graph_objects as go\ngo.Figure(layout={'title': 'empty'})"
    ),
    "a plotly figure without layout.meta.alt or a title": "go.Figure(go.Bar(y=[1]))",
    "a picture without alt text": (
        "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])"
    ),
    "HTML that loads from the network": (
        "from IPython.display import HTML\n"
        "HTML('<script src=\"https://cdn.example.org/x.js\"></script>')"
    ),
    "an iframe without a title": "HTML('<iframe src=\"x\"></iframe>')",
}


def test_outputs_that_a_reader_could_not_see_fail(small_book):
    # All in one run: a kernel a case would take a minute. The last fills the page.
    small_book.chapter("one", *UNSEEN.values(), "HTML('x' * 2_100_000)")
    done = small_book.build()
    assert done.returncode == 1
    lines = [line.removeprefix("book: ") for line in done.stderr.splitlines()]
    said = [line for line in lines if line.startswith("one, ")]
    for number, what in enumerate(UNSEEN, 5):
        mine = [line for line in said if line.startswith(f"one, cell {number}: ")]
        assert len(mine) == 1 and what in mine[0], said
    assert "one, its outputs take 2.1 MB; a page has 2" in said
    assert len(said) == len(UNSEEN) + 1
    assert not small_book.html.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "smok"], "unknown profile 'smok'; there are: smoke"),
        (["--param", "epoch=3"], "no chapter reads a parameter 'epoch'; did you mean"),
        (["--param", "3"], "'3' is not of the form name=value"),
        (["--seed", "x"], "invalid int value"),
    ],
)
def test_misspelt_settings_are_refused(small_book, arguments, said):
    small_book.chapter("one", "assert epochs", parameters="epochs = 1")
    done = small_book.build(*arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_parameter_reaches_the_chapters_that_declare_it(small_book):
    small_book.chapter("one", "print(epochs + 1)", parameters="epochs = 1")
    small_book.chapter("two", "print('no parameter')")
    done = small_book.build("--param", "epochs=4")
    assert done.returncode == 0, done.stderr
    assert printed(small_book, "one") == ["5\n"]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["def broken(:"], "cell 5, line 1: invalid syntax: def broken(:"),
        (["print(1)\n" * 16], "cell 5 has 16 lines of code; 15 are the most"),
        (
            [("parameters", "lost = 1")],
            "it has two parameters cells; papermill sets the first alone",
        ),
    ],
)
def test_a_chapter_that_is_none_is_named(small_book, cells, said):
    small_book.chapter("one", *cells)
    done = small_book.build()
    assert done.returncode == 1
    assert f"one.ipynb{',' if 'syntax' in said else ':'} {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_notebook_with_outputs_or_without_setup_is_named(small_book):
    path = small_book.chapter("one", "print(1)", standard=False)
    said = small_book.build().stderr
    small_book.chapter("two", "print(1)", parameters="lost = 1")
    assert (
        "two.ipynb: parameter lost is set but never read" in small_book.build().stderr
    )
    assert "its set-up cell is not the one in chapters.py" in said
    assert "does not set profile and seed" in said
    document = json.loads(path.read_text())
    document["cells"][0]["execution_count"] = 1
    path.write_text(json.dumps(document))
    assert "cell 1 has outputs: run nbstripout" in small_book.build().stderr
    path.write_text(path.read_text()[:50])
    assert "one.ipynb, line 1: not a notebook" in small_book.build().stderr


def test_a_torn_cache_is_made_again(good_book):
    kept = good_book.root / "_build" / "executed" / "one.ipynb"
    kept.write_text(kept.read_text()[:100])
    done = good_book.build()
    assert done.returncode == 0
    assert "1 chapters run" in done.stderr


def test_a_second_build_at_once_is_told_to_wait(good_book):
    import filelock

    with filelock.FileLock(good_book.root / "_build" / ".lock"):
        done = good_book.build()
    assert done.returncode == 1
    assert "another build holds" in done.stderr
    assert "Traceback" not in done.stderr
    assert good_book.build().returncode == 0  # a lock left behind does not block


def test_a_full_disk_is_said_in_one_line(good_book, monkeypatch, capsys):
    import errno

    from book_tools import __main__, execute

    before = (good_book.html / "one.html").read_text()
    good_book.chapter("one", "print(2)")

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device", "one.ipynb")

    monkeypatch.setattr(execute, "_run_all", full)
    assert __main__.main(["--root", str(good_book.root), "build"]) == 1
    said = capsys.readouterr().err
    assert "No space left on device one.ipynb free some space (make clean" in said
    assert (good_book.html / "one.html").read_text() == before


def test_a_table_of_contents_that_names_nothing(small_book):
    small_book.chapter("one", "print(1)")
    (small_book.root / "book" / "one.ipynb").unlink()
    done = small_book.build()
    assert done.returncode == 1
    assert "_toc.yml names one, which does not exist" in done.stderr


def test_serve_serves_and_says_where(small_book, good_book):
    import threading
    import urllib.request

    from book_tools.layout import BookError
    from book_tools.website import make_server

    small_book.chapter("one", "print(1)")
    with pytest.raises(BookError, match="run make book first"):
        make_server(Layout(small_book.root), 0)
    with make_server(Layout(good_book.root), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/one.html"
        assert b"good" in urllib.request.urlopen(address).read()
        taken = run_book(good_book.root, "serve", "--port", str(server.server_port))
        assert f"port {server.server_port} is taken" in taken.stderr
        server.shutdown()


def test_an_interrupted_build_says_so_and_leaves_no_kernel(small_book):
    import os
    import signal
    import subprocess
    import sys

    small_book.chapter("slow", "open('here', 'w').close()\nimport time\ntime.sleep(99)")
    command = [sys.executable, "-m", "book_tools", "--root"]
    build = subprocess.Popen(
        [*command, str(small_book.root), "build"],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = small_book.root / "book" / "here"
    while not begun.exists():
        assert build.poll() is None
        time.sleep(0.1)
    os.killpg(build.pid, signal.SIGINT)  # as Ctrl-C does
    _, said = build.communicate(timeout=30)
    assert build.returncode == 130
    assert said.strip() == "book: interrupted; what was finished is kept"
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True)
    assert str(small_book.root) not in listed.stdout


def test_a_stale_result_fails_the_build(small_book):
    small_book.chapter("one", "print(1)")
    results = small_book.root / "book" / "results"
    results.mkdir()
    (small_book.root / "make.py").write_text("print('changed since')")
    stamp = {"made_with": {"make.py": "0123456789abcdef"}}
    (results / "found.json").write_text(json.dumps({"values": {}, "stamp": stamp}))
    done = small_book.build()
    assert done.returncode == 1
    assert "found.json is stale: make.py has changed since it was made" in done.stderr
