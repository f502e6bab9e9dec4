"""Heatmaps for a person's own scans: ``python -m lrpbook_lib.explain --help``."""

from lrpbook_lib.explain.cohort import explain_all
from lrpbook_lib.explain.one import Explained, explain_case
from lrpbook_lib.explain.ready import ReadyModel, ready_model
from lrpbook_lib.explain.write import write_explained

__all__ = [
    "Explained",
    "ReadyModel",
    "explain_all",
    "explain_case",
    "ready_model",
    "write_explained",
]
