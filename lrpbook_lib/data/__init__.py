"""Patients on disk to slices in memory.

Names are imported when first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrpbook_lib.data.phantom import (
        PhantomSettings,
        make_phantom,
        plan_cohort,
        read_manifest,
    )
    from lrpbook_lib.data.places import cache_home, data_home

_HOME = {
    "PhantomSettings": "phantom",
    "cache_home": "places",
    "data_home": "places",
    "make_phantom": "phantom",
    "plan_cohort": "phantom",
    "read_manifest": "phantom",
}

__all__ = [
    "PhantomSettings",
    "cache_home",
    "data_home",
    "make_phantom",
    "plan_cohort",
    "read_manifest",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
