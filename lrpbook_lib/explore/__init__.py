"""Figures and widgets."""

from lrpbook_lib.explore.figures import show, show_png

__all__ = ["show", "show_png"]
