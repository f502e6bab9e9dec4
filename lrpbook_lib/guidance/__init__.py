"""Scores of a heatmap against a mask, and losses built on them."""

from .attribution import Attributor, grad_cam, input_gradient
from .localization import (
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from .loss import CrossEntropy
from .masks import annotated, coarsen
from .penalties import BCELoss, GrazPlusLoss, HINTLoss, L1Loss, RRRLoss
from .ratio import EnergyLoss, LogRatioLoss, LRPLoss, SelfNormalizedLoss
from .schedule import Schedule
from .score import chance_level, tumor_lrp_score

LOSSES = {
    loss.__name__: loss
    for loss in (
        CrossEntropy,
        LRPLoss,
        SelfNormalizedLoss,
        LogRatioLoss,
        EnergyLoss,
        GrazPlusLoss,
        RRRLoss,
        HINTLoss,
        L1Loss,
        BCELoss,
    )
}

__all__ = [
    "LOSSES",
    "Attributor",
    "BCELoss",
    "CrossEntropy",
    "EnergyLoss",
    "GrazPlusLoss",
    "HINTLoss",
    "L1Loss",
    "LRPLoss",
    "LogRatioLoss",
    "RRRLoss",
    "Schedule",
    "SelfNormalizedLoss",
    "annotated",
    "chance_level",
    "coarsen",
    "energy_pointing_game",
    "grad_cam",
    "input_gradient",
    "lift",
    "pointing_game",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "tumor_lrp_score",
]
