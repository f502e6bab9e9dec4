"""Figures and widgets."""

from lrpbook_lib.explore.arms import (
    arms_figure,
    arms_table,
    before_after,
    curves_figure,
    difference_text,
    front_figure,
    knobs_figure,
)
from lrpbook_lib.explore.cohort import (
    cohort_explorer,
    protocol_scores,
    site_grade_bars,
)
from lrpbook_lib.explore.contours import densest_region, relevance_contours
from lrpbook_lib.explore.figures import frame_slider, show, show_png
from lrpbook_lib.explore.neighbors import NeighborBrowser
from lrpbook_lib.explore.pairs import (
    Link,
    pair_explorer,
    pair_figure,
    strongest_links,
)
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
    "Link",
    "NeighborBrowser",
    "arms_figure",
    "arms_table",
    "before_after",
    "choice_along_z",
    "cohort_explorer",
    "curves_figure",
    "densest_region",
    "difference_text",
    "frame_slider",
    "front_figure",
    "intensity_curves",
    "knobs_figure",
    "paint",
    "pair_explorer",
    "pair_figure",
    "protocol_scores",
    "relevance_contours",
    "sequence_panels",
    "show",
    "show_png",
    "site_grade_bars",
    "slice_browser",
    "slice_panels",
    "strongest_links",
    "three_planes",
    "view_volume",
]
