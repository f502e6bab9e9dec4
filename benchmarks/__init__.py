"""Ratios of relevance passes and guided training steps to plain ones."""
