"""Maps of where a network looks, and how much of a map lies where it should."""

from .explainers import EXPLAINERS, explainer
from .localization import (
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from .maps import Attribution
from .score import chance_level, tumor_lrp_score
