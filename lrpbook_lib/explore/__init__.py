"""Figures and widgets."""

from lrpbook_lib.explore.cohort import (
    cohort_explorer,
    protocol_scores,
    site_grade_bars,
)
from lrpbook_lib.explore.explorer import HeatmapExplorer
from lrpbook_lib.explore.figures import frame_slider, show, show_png
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
    "HeatmapExplorer",
    "TrainingReplay",
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
