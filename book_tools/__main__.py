"""``python -m book_tools``: what the make targets call."""

import argparse
import errno
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from book_tools.layout import PROFILES, TOOLS, BookError, Layout


def parameter(text: str) -> tuple[str, Any]:
    """``epochs=3`` as a name and a value; what is not JSON is taken as text."""
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form name=value")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def build(options: argparse.Namespace) -> None:
    """Execute what changed, render what changed, say where the book is."""
    import filelock

    from book_tools.chapters import read_chapters
    from lrpbook_lib.results import StaleResultError, check_stamp

    layout = Layout(options.root, options.profile)
    given = {"profile": options.profile, "seed": options.seed, **dict(options.param)}
    chapters = read_chapters(layout)
    said = [what for each in chapters for what in each.complaints(layout.address)]
    if said:
        raise BookError("\n".join(said))
    for result in (layout.source / "results").glob("*.json"):
        try:
            check_stamp(result, json.loads(result.read_text())["stamp"], layout.root)
        except StaleResultError as stale:
            raise BookError(str(stale)) from None
    layout.build.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(layout.build / ".lock", timeout=options.wait)
    try:
        with lock:
            from book_tools.execute import execute
            from book_tools.render import render

            ran = execute(layout, chapters, given, options.jobs)
            rendered = render(layout, chapters)
    except filelock.Timeout:
        raise BookError(
            f"another build holds {layout.build / '.lock'}: wait until it ends"
        ) from None
    kept = len(chapters) - len(ran)
    state = "rendered" if rendered else "already up to date"
    print(f"{len(ran)} chapters run, {kept} kept; {state}", file=sys.stderr)
    print((layout.html / "index.html").as_uri())


def serve(options: argparse.Namespace) -> None:
    """Serve the built book."""
    from book_tools.website import serve

    serve(Layout(options.root, options.profile), options.port)


def set_repo(options: argparse.Namespace) -> None:
    """Rewrite the repository address."""
    from book_tools.repository import set_repository

    changed = set_repository(Layout(options.root), options.url)
    for file in changed:
        print(file.relative_to(options.root))


def links(options: argparse.Namespace) -> None:
    """Ask every address outside the book whether it still answers."""
    from book_tools.website import check_links

    count = check_links(Layout(options.root, options.profile))
    print(f"{count} addresses outside the book answer")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="book", description=__doc__)
    top.add_argument("--root", type=Path, default=TOOLS.parent, help=argparse.SUPPRESS)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="execute and render the book")
    command.add_argument("--profile", default="book", help=", ".join(PROFILES))
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--jobs", type=int, default=0, help="0: one a core")
    command.add_argument("--param", type=parameter, action="append", default=[])
    command.add_argument("--wait", type=float, default=0, help="seconds for the lock")
    command.set_defaults(run=build)

    command = commands.add_parser("serve", help="serve the built book")
    command.add_argument("--profile", default="book")
    command.add_argument("--port", type=int, default=8000)
    command.set_defaults(run=serve)

    command = commands.add_parser("links", help="check links out of the book")
    command.add_argument("--profile", default="book")
    command.set_defaults(run=links)

    command = commands.add_parser("set-repo", help="change the repository address")
    command.add_argument("url")
    command.set_defaults(run=set_repo)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; whatever goes wrong is said in words, not as a traceback."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except BookError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("book: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except NotADirectoryError as error:  # LRPBOOK_DATA, explained where it is read
        print(f"book: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space (make clean removes what was built)" if full else ""
        where = error.filename or ""
        print(f"book: {error.strerror} {where} {advice}".rstrip(), file=sys.stderr)
        return 1
    except Exception as error:
        log = options.root / "_build" / "error.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback.format_exc())
        print(
            f"book: {type(error).__name__}: {error}\nbook: this is a fault of the "
            f"book's tools; please report it with {log}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
