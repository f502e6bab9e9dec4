"""Maps of where a network looks, and how much of a map lies where it should."""

from .attributor import Attributor, grad_cam, input_gradient
from .faithfulness import faithfulness_correlation, infidelity
from .flipping import flip_regions, random_map
from .imputation import IMPUTERS, Imputer, imputer
from .interventions import choose_donors, control_regions, effects_of_erasing
from .localization import (
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from .properties import completeness_error, complexity, cost, sparseness
from .randomization import efficient_randomization, parameter_randomization
from .score import chance_level, tumor_lrp_score
from .stability import Smoothed, agreement, max_sensitivity, rank_correlation
