"""Heatmaps for a person's own scans: ``python -m lrpbook_lib.explain --help``."""

from lrpbook_lib.explain.many import explain_all
from lrpbook_lib.explain.one import Explained, explain_case
from lrpbook_lib.explain.volume import ExplainedVolume, explain_volume
from lrpbook_lib.explain.write import write_explained
