"""The page that says how this book was run, written from the runs themselves."""

from collections.abc import Mapping

from book_tools.execute import Stamp
from book_tools.layout import BookError

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
    head = ["chapter", "seconds", "profile", "seed", "device", "started (UTC)"]
    rows = [_row(head), _row(["---"] * len(head))]
    for name, stamp in stamps.items():
        others = [
            f"{key} = {value}"
            for key, value in stamp.parameters.items()
            if key not in {"profile", "seed"}
        ]
        cells = [
            f"{{doc}}`{name}`",
            f"{stamp.seconds:.1f}",
            "; ".join([stamp.profile, *others]),
            str(stamp.parameters.get("seed", "")),
            stamp.device,
            stamp.started.replace("T", " ").removesuffix("+00:00"),
        ]
        rows.append(_row(cells))
    total = sum(stamp.seconds for stamp in stamps.values())
    rows.append(_row(["all chapters", f"{total:.1f}", *[""] * (len(head) - 2)]))
    return "\n".join(rows)


def _versions(stamps: Mapping[str, Stamp]) -> str:
    """What the chapters were run with, once for all that share it."""
    sharing: dict[str, list[str]] = {}
    for name, stamp in stamps.items():
        packages = ", ".join(f"{key} {value}" for key, value in stamp.packages.items())
        told = (
            f"commit `{stamp.commit}`, library `{stamp.library}`, data `{stamp.data}`; "
            f"Python {stamp.python}, {packages}"
        )
        sharing.setdefault(told, []).append(name)
    lines = [
        f"- {', '.join(f'{{doc}}`{name}`' for name in names)}: {told}."
        for told, names in sharing.items()
    ]
    return "\n".join(lines)
