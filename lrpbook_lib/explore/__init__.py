"""Figures and widgets."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrpbook_lib.explore.browser import CohortBrowser
    from lrpbook_lib.explore.cohort import (
        cohort_explorer,
        protocol_scores,
        site_grade_bars,
    )
    from lrpbook_lib.explore.explorer import HeatmapExplorer
    from lrpbook_lib.explore.figures import frame_slider, show, show_png
    from lrpbook_lib.explore.planes import VolumeExplorer
    from lrpbook_lib.explore.replay import TrainingReplay
    from lrpbook_lib.explore.slices import (
        choice_along_z,
        intensity_curves,
        paint,
        slice_browser,
        slice_panels,
        three_planes,
    )
    from lrpbook_lib.explore.volumes import sequence_panels, view_volume

__all__ = [
    "CohortBrowser",
    "HeatmapExplorer",
    "TrainingReplay",
    "VolumeExplorer",
    "choice_along_z",
    "cohort_explorer",
    "frame_slider",
    "intensity_curves",
    "paint",
    "protocol_scores",
    "sequence_panels",
    "show",
    "show_png",
    "site_grade_bars",
    "slice_browser",
    "slice_panels",
    "three_planes",
    "view_volume",
]

# A chapter that shows one picture should not wait for torch and plotly.
_HOME = {
    "browser": ("CohortBrowser",),
    "cohort": ("cohort_explorer", "protocol_scores", "site_grade_bars"),
    "explorer": ("HeatmapExplorer",),
    "figures": ("frame_slider", "show", "show_png"),
    "planes": ("VolumeExplorer",),
    "replay": ("TrainingReplay",),
    "slices": (
        "choice_along_z",
        "intensity_curves",
        "paint",
        "slice_browser",
        "slice_panels",
        "three_planes",
    ),
    "volumes": ("sequence_panels", "view_volume"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for."""
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULE[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
