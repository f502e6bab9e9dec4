"""Maps of where a network looks, and how much of a map lies where it should."""

from .explainers import EXPLAINERS, explainer
from .maps import Attribution
from .scores import (
    chance_level,
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    tumor_lrp_score,
)
