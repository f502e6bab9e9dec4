"""Maps of where a network looks, and how much of a map lies where it should."""

from .attributor import Attributor, grad_cam, input_gradient
from .localization import (
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from .score import chance_level, tumor_lrp_score
