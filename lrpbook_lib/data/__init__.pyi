from .augment import Augment as Augment, Augmented as Augmented
from .backgrounds import (
    EraseBackground as EraseBackground,
    RandomizeScanner as RandomizeScanner,
    SwapBackground as SwapBackground,
)
from .cases.case import Case as Case, CaseList as CaseList, duplicates as duplicates
from .cases.finding import find_cases as find_cases
from .cases.own import own_case as own_case
from .cases.tables import read_table as read_table
from .heads.folder import (
    cached_heads as cached_heads,
    make_heads as make_heads,
    read_truth as read_truth,
)
from .heads.knobs import HeadSettings as HeadSettings, plan_people as plan_people
from .heads.reading import find_heads as find_heads
from .heads.template import REGIONS as REGIONS
from .heads.volumes import (
    VolumeSettings as VolumeSettings,
    head_volumes as head_volumes,
    region_maps as region_maps,
)
from .lungs import lung_mask as lung_mask
from .phantom.folder import (
    cached_phantom as cached_phantom,
    make_phantom as make_phantom,
    read_manifest as read_manifest,
)
from .phantom.knobs import (
    PhantomSettings as PhantomSettings,
    plan_cohort as plan_cohort,
    twin_facts as twin_facts,
)
from .samples import SliceSet as SliceSet
from .sets.brats_t1ce import brats_t1ce_slices as brats_t1ce_slices
from .sets.cheng import cheng_slices as cheng_slices
from .sets.tcga_lgg import tcga_lgg_slices as tcga_lgg_slices
from .sites import site_facts as site_facts, site_predicts_grade as site_predicts_grade
from .slices.choosing import (
    RECIPES as RECIPES,
    SliceRecipe as SliceRecipe,
    choose_slices as choose_slices,
    normalize as normalize,
)
from .slices.extract import extract_slices as extract_slices
from .splits import (
    check_disjoint as check_disjoint,
    mixed_sites as mixed_sites,
    patient_folds as patient_folds,
    patient_split as patient_split,
    site_holdout as site_holdout,
)
