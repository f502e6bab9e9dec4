"""What can go wrong, said so that the reader knows what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LRPError(ValueError):
    """Something about a model, a layer or an input that LRP cannot work with."""


class UntraceableModelError(LRPError):
    """The model's forward depends on data in a way that no fixed program can follow."""


class NeedsInputError(UntraceableModelError):
    """A model that only a run on an input can show the operations of."""


class UnsupportedOperationError(LRPError):
    """An operation on the path of relevance that no rule is registered for."""


class ExportError(LRPError):
    """An explainer that cannot be written as a file, and why."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> LRPError:
    """An error for a name that does not exist, with those that come close."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    shown = ", ".join(known[:40]) + (", ..." if len(known) > 40 else "")
    return LRPError(f"There is no {what} named {name!r}. {hint}There are: {shown}.")
