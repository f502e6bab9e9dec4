"""Where the book's parts lie on disk, and the one error its tools raise."""

import os
from dataclasses import dataclass
from pathlib import Path

import yaml

TOOLS = Path(__file__).resolve().parent
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
    def python_path(self) -> str:
        """For processes that import this library and these tools, not others."""
        places = [str(self.root), str(TOOLS.parent), os.environ.get("PYTHONPATH")]
        return os.pathsep.join(filter(None, places))

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
    def address(self) -> str:
        """The repository's address, from the settings."""
        settings = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        return settings["repository"]["url"]

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
    def static(self) -> Path:
        """Scripts and styles of the whole site, in that copy."""
        return self.staging / "static"

    @property
    def html(self) -> Path:
        """The last good book."""
        return self.build / "html"
