"""The page that says how this book was run, written from the runs themselves."""

from collections.abc import Mapping

from lrpbook_lib.publish.execute import Stamp
from lrpbook_lib.publish.layout import BookError

RUN_PAGE = "how_this_book_was_run.md"
PLACE = "<!-- run table -->"


def run_table(page: str, stamps: Mapping[str, Stamp]) -> str:
    """Put what the stamps say where the page asks for it."""
    if PLACE not in page:
        raise BookError(f"{RUN_PAGE} has lost its line {PLACE}")
    return page.replace(PLACE, f"{_chapters(stamps)}\n\n{_versions(stamps)}")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _chapters(stamps: Mapping[str, Stamp]) -> str:
    head = ["chapter", "seconds", "profile", "seed", "other parameters", "device"]
    head += ["started (UTC)", "commit"]
    rows = [_row(head), _row(["---"] * len(head))]
    for name, stamp in stamps.items():
        others = {
            key: value
            for key, value in stamp.parameters.items()
            if key not in {"profile", "seed"}
        }
        cells = [
            f"{{doc}}`{name}`",
            f"{stamp.seconds:.1f}",
            stamp.profile,
            str(stamp.parameters.get("seed", "")),
            ", ".join(f"{key}={value}" for key, value in others.items()) or "none",
            stamp.device,
            stamp.started.replace("T", " ").removesuffix("+00:00"),
            stamp.commit,
        ]
        rows.append(_row(cells))
    total = sum(stamp.seconds for stamp in stamps.values())
    rows.append(_row(["all chapters", f"{total:.1f}", *[""] * (len(head) - 2)]))
    return "\n".join(rows)


def _versions(stamps: Mapping[str, Stamp]) -> str:
    head = ["chapter", "library", "data", "Python"]
    packages = sorted({name for stamp in stamps.values() for name in stamp.packages})
    rows = [_row(head + packages), _row(["---"] * (len(head) + len(packages)))]
    for name, stamp in stamps.items():
        cells = [f"{{doc}}`{name}`", f"`{stamp.library}`", f"`{stamp.data}`"]
        cells += [stamp.python, *(stamp.packages.get(each, "") for each in packages)]
        rows.append(_row(cells))
    return "\n".join(rows)
