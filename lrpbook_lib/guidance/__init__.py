"""Losses built on a map and a mask, and how their strength changes."""

from lrpbook_lib.attribution import chance_level, tumor_lrp_score

from .loss import LOSSES, CrossEntropy
from .masks import annotated, coarsen
from .penalties import BCELoss, GrazPlusLoss, HINTLoss, L1Loss, RRRLoss
from .ratio import EnergyLoss, LogRatioLoss, LRPLoss, SelfNormalizedLoss
from .schedule import Schedule
from .two_heads import AdversarialLoss, SegmentationLoss
