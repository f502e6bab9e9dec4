"""Frozen dataclasses as plain dictionaries, and back, with errors that help.

Two forms: all settings, for the record; and only those that were chosen, of which names
are made, so that a field that is added later with a default changes no name.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_args, get_type_hints

from lrpbook_lib.data.augment import TRANSFORMS, Transform
from lrpbook_lib.guidance import LOSSES, CrossEntropy

from .groups import GROUPS, GroupBalanced

#: What comes in several kinds: the class that they derive from, what one of them is
#: called, and the kinds by name.
_FAMILIES: tuple[tuple[type, str, Mapping[str, type]], ...] = (
    (CrossEntropy, "loss", LOSSES),
    (Transform, "transform", TRANSFORMS),
    (GroupBalanced, "weighting", GROUPS),
)


class SettingsError(ValueError):
    """Settings that cannot be read."""


def to_dict(settings: Any) -> Any:
    """A dataclass as a dictionary that JSON can say; losses tell their ``kind``."""
    if is_dataclass(settings) and not isinstance(settings, type):
        plain = {f.name: to_dict(getattr(settings, f.name)) for f in fields(settings)}
        return {**_kind(settings), **plain}
    if isinstance(settings, Mapping):
        return {str(key): to_dict(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [to_dict(value) for value in settings]
    return settings


def chosen(settings: Any) -> Any:
    """What was chosen: the same without the fields that are at their defaults.

    Equal settings give the same: 1.0 is written as 1.
    """
    if is_dataclass(settings) and not isinstance(settings, type):
        values = [(f, getattr(settings, f.name)) for f in fields(settings)]
        plain = {f.name: chosen(v) for f, v in values if v != _default(f)}
        return {**_kind(settings), **plain}
    if isinstance(settings, (list, tuple)):
        return [chosen(value) for value in settings]
    if isinstance(settings, float) and settings.is_integer():
        return int(settings)
    return settings


def defaults(settings: Iterable[Any]) -> dict[str, Any]:
    """What was left at its default in any of several settings, and what that is.

    Names say nothing of it: whoever keeps a name keeps this beside it.

    Returns
    -------
    dict
        ``"TrainSettings.clip"`` to 1.0, and so on.
    """
    found: dict[str, Any] = {}
    for one in settings:
        for f in fields(one):
            value = getattr(one, f.name)
            if value == _default(f):
                found[f"{type(one).__name__}.{f.name}"] = chosen(value)
            if is_dataclass(value):
                found |= defaults([value])
    return found


def differences(known: Any, now: Any, where: str = "") -> list[str]:
    """Where settings differ from those that a dictionary tells, a line each.

    A field that the dictionary does not know was added since: it was at its default.
    """
    plain = to_dict(now)
    if not (is_dataclass(now) and isinstance(known, Mapping)):
        return [] if known == plain else [f"{where}: {known!r}, now {plain!r}"]
    before, after = known.get("kind"), plain.get("kind")
    if before != after:
        return [f"{where}.kind: {before!r}, now {after!r}"]
    lines = []
    for f in fields(now):
        value, path = getattr(now, f.name), f"{where}.{f.name}" if where else f.name
        if f.name in known:
            lines += differences(known[f.name], value, path)
        elif value != _default(f):
            lines.append(f"{path}: not known then, now {to_dict(value)!r}")
    return lines


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
    for base, called, kinds in _FAMILIES:
        if issubclass(kind, base) and (name := values.pop("kind", None)) is not None:
            if name not in kinds:
                raise SettingsError(
                    f"{where or 'kind'} names the {called} {name!r}, which is unknown"
                    f"{near(name, kinds)}; there are {', '.join(kinds)}."
                )
            kind = kinds[name]
    known = [f.name for f in fields(kind)]
    if unknown := [key for key in values if key not in known]:
        said = "; ".join(f"{where}{k}{near(k, known)}" for k in unknown)
        raise SettingsError(
            f"Unknown settings of {kind.__name__}: {said}. It has {', '.join(known)}."
        )
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


def near(word: str, words: Iterable[str]) -> str:
    """`` (did you mean ...?)``, where one of the words is like it."""
    matches = difflib.get_close_matches(word, list(words), 3, 0.5)
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""


def _kind(settings: Any) -> dict[str, str]:
    name = type(settings).__name__
    known = any(kinds.get(name) is type(settings) for _, _, kinds in _FAMILIES)
    return {"kind": name} if known else {}


def _default(f: Field) -> Any:
    made: Any = f.default_factory
    return f.default if made is MISSING else made()
