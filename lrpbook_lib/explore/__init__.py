"""Figures and widgets."""

from lrpbook_lib.explore.figures import frame_slider, show, show_png
from lrpbook_lib.explore.volumes import sequence_panels, view_volume

__all__ = ["frame_slider", "sequence_panels", "show", "show_png", "view_volume"]
