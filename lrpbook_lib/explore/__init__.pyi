from .arms import (
    arms_figure as arms_figure,
    arms_table as arms_table,
    before_after as before_after,
    curves_figure as curves_figure,
    difference_text as difference_text,
    front_figure as front_figure,
    knobs_figure as knobs_figure,
)
from .browser import (
    CohortBrowser as CohortBrowser,
)
from .cohort import (
    cohort_explorer as cohort_explorer,
    protocol_scores as protocol_scores,
    site_grade_bars as site_grade_bars,
)
from .contours import (
    densest_region as densest_region,
    relevance_contours as relevance_contours,
)
from .explorer import (
    HeatmapExplorer as HeatmapExplorer,
)
from .figures import (
    frame_slider as frame_slider,
    show as show,
    show_png as show_png,
)
from .neighbors import (
    NeighborBrowser as NeighborBrowser,
)
from .pairs import (
    Link as Link,
    pair_explorer as pair_explorer,
    pair_figure as pair_figure,
    strongest_links as strongest_links,
)
from .planes import (
    VolumeExplorer as VolumeExplorer,
)
from .replay import (
    TrainingReplay as TrainingReplay,
)
from .slices import (
    choice_along_z as choice_along_z,
    intensity_curves as intensity_curves,
    paint as paint,
    slice_browser as slice_browser,
    slice_panels as slice_panels,
    three_planes as three_planes,
)
from .volumes import (
    sequence_panels as sequence_panels,
    view_volume as view_volume,
)
