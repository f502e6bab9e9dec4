"""Scores of a heatmap against a mask, and losses built on them."""

from lrpbook_lib.attribution import chance_level, tumor_lrp_score

from .catalog import LOSSES
from .loss import CrossEntropy
from .masks import annotated, coarsen
from .penalties import BCELoss, GrazPlusLoss, HINTLoss, L1Loss, RRRLoss
from .ratio import EnergyLoss, LogRatioLoss, LRPLoss, SelfNormalizedLoss
from .schedule import Schedule
