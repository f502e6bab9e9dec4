"""Figures and widgets.

Names are imported when first used: a chapter that shows one picture should not wait for
torch and plotly.
"""

from typing import TYPE_CHECKING

from lrpbook_lib.lazily import names_of

if TYPE_CHECKING:
    from lrpbook_lib.explore.arms import (
        arms_figure,
        arms_table,
        before_after,
        curves_figure,
        difference_text,
        front_figure,
        knobs_figure,
    )
    from lrpbook_lib.explore.browser import CohortBrowser
    from lrpbook_lib.explore.cohort import (
        cohort_explorer,
        protocol_scores,
        site_grade_bars,
    )
    from lrpbook_lib.explore.contours import densest_region, relevance_contours
    from lrpbook_lib.explore.explorer import HeatmapExplorer
    from lrpbook_lib.explore.figures import (
        frame_slider,
        show,
        show_png,
    )
    from lrpbook_lib.explore.neighbors import NeighborBrowser
    from lrpbook_lib.explore.pairs import (
        Link,
        pair_explorer,
        pair_figure,
        strongest_links,
    )
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

_HOME = {
    "CohortBrowser": "browser",
    "HeatmapExplorer": "explorer",
    "Link": "pairs",
    "NeighborBrowser": "neighbors",
    "TrainingReplay": "replay",
    "VolumeExplorer": "planes",
    "arms_figure": "arms",
    "arms_table": "arms",
    "before_after": "arms",
    "choice_along_z": "slices",
    "cohort_explorer": "cohort",
    "curves_figure": "arms",
    "densest_region": "contours",
    "difference_text": "arms",
    "frame_slider": "figures",
    "front_figure": "arms",
    "intensity_curves": "slices",
    "knobs_figure": "arms",
    "paint": "slices",
    "pair_explorer": "pairs",
    "pair_figure": "pairs",
    "protocol_scores": "cohort",
    "relevance_contours": "contours",
    "sequence_panels": "volumes",
    "show": "figures",
    "show_png": "figures",
    "site_grade_bars": "cohort",
    "slice_browser": "slices",
    "slice_panels": "slices",
    "strongest_links": "pairs",
    "three_planes": "slices",
    "view_volume": "volumes",
}

__all__ = [
    "CohortBrowser",
    "HeatmapExplorer",
    "Link",
    "NeighborBrowser",
    "TrainingReplay",
    "VolumeExplorer",
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

__getattr__, __dir__ = names_of(__name__, _HOME)
