"""Frozen dataclasses as plain dictionaries, and back, with errors that help."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from lrpbook_lib.guidance import LOSSES, CrossEntropy


class SettingsError(ValueError):
    """Settings that cannot be read."""


def to_dict(settings: Any) -> Any:
    """A dataclass as a dictionary that JSON can say; losses tell their ``kind``."""
    if is_dataclass(settings) and not isinstance(settings, type):
        plain = {f.name: to_dict(getattr(settings, f.name)) for f in fields(settings)}
        name = type(settings).__name__
        return {"kind": name, **plain} if name in LOSSES else plain
    if isinstance(settings, Mapping):
        return {str(key): to_dict(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [to_dict(value) for value in settings]
    return settings


def from_dict(kind: Any, plain: Any, where: str = "") -> Any:
    """A dataclass from a dictionary; an unknown key is an error that names it.

    Parameters
    ----------
    kind : type
        The dataclass. Fields that are left out keep their defaults.
    plain : mapping
        Fields of dataclass type are dictionaries again.
    where : str
        Path to here, for messages.
    """
    if not isinstance(plain, Mapping):
        raise SettingsError(
            f"{where or kind.__name__} is {plain!r}; it takes a table of settings."
        )
    values = dict(plain)
    name = values.pop("kind", None) if issubclass(kind, CrossEntropy) else None
    if name is not None:
        if name not in LOSSES:
            raise SettingsError(
                f"{where or 'kind'} names the loss {name!r}, which is unknown"
                f"{_near(name, list(LOSSES))}; there are {', '.join(LOSSES)}."
            )
        kind = LOSSES[name]
    known = {f.name: f for f in fields(kind)}
    if unknown := [key for key in values if key not in known]:
        said = "; ".join(f"{where}{k}{_near(k, list(known))}" for k in unknown)
        raise SettingsError(
            f"Unknown settings of {kind.__name__}: {said}. It has {', '.join(known)}."
        )
    needed = [
        f.name
        for f in known.values()
        if f.default is MISSING and f.default_factory is MISSING
    ]
    if missing := [key for key in needed if key not in values]:
        raise SettingsError(f"{kind.__name__} needs {', '.join(missing)}.")
    hints = get_type_hints(kind)
    for key, value in values.items():
        inner = [t for t in (hints[key], *get_args(hints[key])) if is_dataclass(t)]
        if inner and isinstance(value, Mapping):
            values[key] = from_dict(inner[0], value, f"{where}{key}.")
        elif inner and type(value) not in get_args(hints[key]):
            raise SettingsError(
                f"{where}{key} is {value!r}; it takes a table of settings."
            )
        elif isinstance(value, list):
            values[key] = tuple(value)
    return kind(**values)


def digest(plain: Any) -> str:
    """Sixteen hexadecimal digits that name a plain content, on every machine."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two plain contents differ, a line each."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        lines = []
        for key in {**one, **other}:
            path = f"{where}.{key}" if where else str(key)
            lines += differences(one.get(key), other.get(key), path)
        return lines
    return [] if one == other else [f"{where}: {one!r}, now {other!r}"]


def _near(word: str, words: list[str]) -> str:
    matches = difflib.get_close_matches(word, words, 3, 0.5)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""
