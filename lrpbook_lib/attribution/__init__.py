"""Maps of where a network looks, and how much of a map lies where it should."""

from .catalog import EXPLAINERS, explainer
from .faithfulness import faithfulness_correlation, infidelity
from .flipping import flip_regions, random_map
from .imputation import IMPUTERS, Imputer, imputer
from .interventions import choose_donors, control_regions, effects_of_erasing
from .maps import Attribution
from .overlap import best_dice, dice, hausdorff95, iou, segmentation_table
from .properties import completeness_error, complexity, cost, sparseness
from .randomization import efficient_randomization, parameter_randomization
from .regions import equal_volumes, flattened, region_shares, shuffled
from .scores import (
    chance_level,
    energy_pointing_game,
    lift,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    tumor_lrp_score,
)
from .segmentation import (
    Level,
    MultiOtsu,
    OfPeak,
    Quantile,
    Segmenter,
    ellipse_map,
    largest_parts,
    learn_segmenter,
)
from .side_by_side import SIDE_BY_SIDE, Method, measure_maps, where_it_lies
from .stability import Smoothed, agreement, max_sensitivity, rank_correlation
