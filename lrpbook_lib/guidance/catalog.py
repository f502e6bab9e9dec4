"""The losses by name."""

from .loss import CrossEntropy
from .penalties import BCELoss, GrazPlusLoss, HINTLoss, L1Loss, RRRLoss
from .ratio import EnergyLoss, LogRatioLoss, LRPLoss, SelfNormalizedLoss

LOSSES: dict[str, type[CrossEntropy]] = {
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
