"""Figures of matplotlib and plotly, each with a text for those who cannot see it."""
