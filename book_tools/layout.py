"""Where the book's parts lie on disk, and the one error its tools raise."""

import os
from dataclasses import dataclass
from pathlib import Path

PROFILES = {
    "smoke": "seconds a chapter, for tests",
    "book": "minutes on two cores, the default",
    "full": "the real sizes, on a GPU",
}


class BookError(Exception):
    """What went wrong and what to do about it, in words for a person."""


@dataclass(frozen=True)
class Layout:
    """The folders of one checkout and one profile.

    The default profile owns ``_build`` itself, every other one a folder below it, so
    that a quick test run never replaces the book that somebody is reading.
    """

    root: Path
    profile: str = "book"

    def __post_init__(self) -> None:
        """Refuse a folder that holds no book, and a profile that is none."""
        if self.profile not in PROFILES:
            known = ", ".join(f"{name} ({what})" for name, what in PROFILES.items())
            raise BookError(f"unknown profile {self.profile!r}; there are: {known}")
        for needed in (self.config, self.toc):
            if not needed.is_file():
                raise BookError(f"{needed} is missing: run this in a checkout")

    @property
    def source(self) -> Path:
        """The chapters as they are written: notebooks without outputs."""
        return self.root / "book"

    @property
    def config(self) -> Path:
        """Jupyter Book's settings."""
        return self.root / "_config.yml"

    @property
    def toc(self) -> Path:
        """The table of contents."""
        return self.source / "_toc.yml"

    @property
    def library(self) -> Path:
        """The library that the chapters import."""
        return self.root / "lrpbook_lib"

    @property
    def build(self) -> Path:
        """Everything that is made; may be deleted at any time."""
        build = self.root / "_build"
        return build if self.profile == "book" else build / self.profile

    @property
    def executed(self) -> Path:
        """Executed chapters, each with the stamp that says what it was made from."""
        return self.build / "executed"

    @property
    def staging(self) -> Path:
        """The copy of the book that Jupyter Book renders."""
        return self.build / "staging"

    @property
    def html(self) -> Path:
        """The last good book."""
        return self.build / "html"


def write_atomically(path: Path, text: str) -> None:
    """Write beside, then rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
