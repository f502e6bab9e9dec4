"""The trainer and grids of experiments."""
