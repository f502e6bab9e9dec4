"""Patients on disk to slices in memory.

Names are imported when first used, so that importing this package costs nothing.
"""

from typing import TYPE_CHECKING

from lrpbook_lib.lazily import names_of

if TYPE_CHECKING:
    from lrpbook_lib.data.augment import Augment, Augmented
    from lrpbook_lib.data.card import data_card
    from lrpbook_lib.data.cases import Case, CaseList, duplicates
    from lrpbook_lib.data.cheng import cheng_slices
    from lrpbook_lib.data.choosing import RECIPES, SliceRecipe
    from lrpbook_lib.data.counting import real_facts
    from lrpbook_lib.data.finding import find_cases
    from lrpbook_lib.data.own import own_case
    from lrpbook_lib.data.phantom import cached_phantom, make_phantom, read_manifest
    from lrpbook_lib.data.places import cache_home, data_home
    from lrpbook_lib.data.real_sets import real_data_card
    from lrpbook_lib.data.settings import PhantomSettings, plan_cohort
    from lrpbook_lib.data.slices import extract_slices
    from lrpbook_lib.data.sliceset import SliceSet
    from lrpbook_lib.data.splits import (
        check_disjoint,
        mixed_sites,
        patient_folds,
        patient_split,
        site_holdout,
    )
    from lrpbook_lib.data.tables import (
        read_table,
        site_facts,
        site_grade_table,
        site_predicts_grade,
    )
    from lrpbook_lib.data.tcga_lgg import tcga_lgg_slices

_HOME = {
    "RECIPES": "choosing",
    "Augment": "augment",
    "Augmented": "augment",
    "Case": "cases",
    "CaseList": "cases",
    "PhantomSettings": "settings",
    "SliceRecipe": "choosing",
    "SliceSet": "sliceset",
    "cache_home": "places",
    "cached_phantom": "phantom",
    "cheng_slices": "cheng",
    "check_disjoint": "splits",
    "data_card": "card",
    "data_home": "places",
    "duplicates": "cases",
    "extract_slices": "slices",
    "find_cases": "finding",
    "make_phantom": "phantom",
    "mixed_sites": "splits",
    "own_case": "own",
    "patient_folds": "splits",
    "patient_split": "splits",
    "plan_cohort": "settings",
    "read_manifest": "phantom",
    "read_table": "tables",
    "real_data_card": "real_sets",
    "real_facts": "counting",
    "site_facts": "tables",
    "site_grade_table": "tables",
    "site_holdout": "splits",
    "site_predicts_grade": "tables",
    "tcga_lgg_slices": "tcga_lgg",
}

__all__ = [
    "RECIPES",
    "Augment",
    "Augmented",
    "Case",
    "CaseList",
    "PhantomSettings",
    "SliceRecipe",
    "SliceSet",
    "cache_home",
    "cached_phantom",
    "check_disjoint",
    "cheng_slices",
    "data_card",
    "data_home",
    "duplicates",
    "extract_slices",
    "find_cases",
    "make_phantom",
    "mixed_sites",
    "own_case",
    "patient_folds",
    "patient_split",
    "plan_cohort",
    "read_manifest",
    "read_table",
    "real_data_card",
    "real_facts",
    "site_facts",
    "site_grade_table",
    "site_holdout",
    "site_predicts_grade",
    "tcga_lgg_slices",
]

__getattr__, __dir__ = names_of(__name__, _HOME)
