"""Packages whose names are imported when first used: importing costs nothing."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def names_of(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """What a package defines as ``__getattr__`` and ``__dir__``.

    Parameters
    ----------
    package
        Its ``__name__``.
    home
        Public names, each with the module below the package that it lives in. No module
        may be called like a name that another one holds.
    """

    def get(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return get, lambda: sorted(home)
