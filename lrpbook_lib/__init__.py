"""Explanation-guided training with relevance you can train through."""

__version__ = "0.1.0"
