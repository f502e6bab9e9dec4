from .figures.alt import (
    frame_slider as frame_slider,
    show as show,
)
from .figures.arms import (
    arm_row as arm_row,
    arms_figure as arms_figure,
    arms_table as arms_table,
    difference_text as difference_text,
    estimate_text as estimate_text,
    knobs_figure as knobs_figure,
    networks_figure as networks_figure,
)
from .figures.blocks import (
    Link as Link,
    pair_explorer as pair_explorer,
    pair_figure as pair_figure,
    strongest_links as strongest_links,
)
from .figures.causes import (
    causes_figure as causes_figure,
)
from .figures.contours import (
    densest_region as densest_region,
    relevance_contours as relevance_contours,
)
from .figures.curves import (
    curves_figure as curves_figure,
    front_figure as front_figure,
    trend_figure as trend_figure,
)
from .figures.heads import (
    head_viewer as head_viewer,
    on_template as on_template,
)
from .figures.matrices import (
    matrix_figure as matrix_figure,
)
from .figures.panels import (
    Panel as Panel,
    before_after as before_after,
    heatmap_panels as heatmap_panels,
    panels as panels,
    slice_panels as slice_panels,
)
from .figures.pictures import (
    paint as paint,
    slice_browser as slice_browser,
)
from .figures.planes import (
    sequence_panels as sequence_panels,
    three_planes as three_planes,
)
from .figures.sites import (
    choice_along_z as choice_along_z,
    cohort_explorer as cohort_explorer,
    intensity_curves as intensity_curves,
    protocol_scores as protocol_scores,
    site_grade_bars as site_grade_bars,
)
from .widgets.cutting import (
    SegmentationExplorer as SegmentationExplorer,
)
from .widgets.explorer import (
    HeatmapExplorer as HeatmapExplorer,
)
from .widgets.listing import (
    CohortBrowser as CohortBrowser,
)
from .widgets.neighbors import (
    NeighborBrowser as NeighborBrowser,
)
from .widgets.page import (
    PageWidget as PageWidget,
)
from .widgets.planes import (
    VolumeExplorer as VolumeExplorer,
)
from .widgets.replay import (
    TrainingReplay as TrainingReplay,
)
