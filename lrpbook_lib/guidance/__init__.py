"""Scores of a heatmap against a mask, and losses built on them."""
