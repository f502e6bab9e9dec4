"""Scores of a heatmap against a mask, and losses built on them."""

from .score import chance_level, tumor_lrp_score

__all__ = ["chance_level", "tumor_lrp_score"]
