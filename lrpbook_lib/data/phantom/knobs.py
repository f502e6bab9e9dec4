"""The knobs of the phantom, and the cohort they plan: grades and sites, no images."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lrpbook_lib.data.phantom.scanner import SITES

#: Raised by hand when the same settings would give other bytes.
RECIPE = 1
_RANGES = {
    "difficulty": (0, 1),
    "confounding": (0, 1),
    "site_strength": (0, 2),
    "ventricle_confounding": (-5, 5),
    "lgg_fraction": (0, 1),
    "mixed_fraction": (0, 1),
    "spacing": (1, 6),
}


@dataclass(frozen=True)
class PhantomSettings:
    """Every knob of the phantom.

    Attributes
    ----------
    patients
        Size of the cohort. A smaller cohort is the beginning of a larger one.
    seed
        Every random choice follows from it.
    difficulty
        0: the grades look different; 1: they nearly overlap.
    confounding
        1: most sites treat one grade only, as in BraTS; 0: site says nothing
        about grade. Between: the probability that a patient's site goes by grade.
    site_strength
        How much the scanners of the sites differ; 0: all the same.
    ventricle_confounding
        HGG patients' ventricle walls lie this many mm further out than the mean,
        LGG patients' as far inside: an anatomical confounder.
    lgg_fraction
        Share of LGG patients.
    mixed_fraction
        Share of the patients at sites that treat both grades.
    spacing
        Edge of the cubic voxels, mm.
    """

    patients: int = 120
    seed: int = 0
    difficulty: float = 0.5
    confounding: float = 1.0
    site_strength: float = 1.0
    ventricle_confounding: float = 0.0
    lgg_fraction: float = 0.4
    mixed_fraction: float = 0.15
    spacing: float = 2.0

    def __post_init__(self) -> None:
        if self.patients < 1:
            raise ValueError(f"patients={self.patients}: a cohort needs at least one")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: seeds are zero or positive")
        for name, (low, high) in _RANGES.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name}={value} lies outside {low} to {high}")

    @classmethod
    def of(cls, **knobs: Any) -> "PhantomSettings":
        """Knobs as numbers of the kind of their defaults: 2 and 2.0 are one cohort."""
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        return cls(**{k: kinds[k](v) if k in kinds else v for k, v in knobs.items()})


@dataclass(frozen=True)
class Plan:
    """Who a phantom patient is, decided before any image is made."""

    case: str  #: as in BraTS, with the site inside: ``Phantom_A_007_1``
    index: int  #: number in the cohort; with the seed it decides everything random
    grade: str  #: ``"HGG"`` or ``"LGG"``
    site: str  #: a letter


def random_source(seed: int, *path: int) -> np.random.Generator:
    """An independent stream for each place in the cohort, whoever computes it."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def plan_cohort(settings: PhantomSettings) -> list[Plan]:
    """Decide grade and site of every patient, none of the images.

    Grades and single-grade or mixed sites come in a fixed rhythm, so that small
    cohorts hold their shares too.
    """
    plans, seen = [], {"HGG": 0, "LGG": 0}
    at_mixed = {"HGG": 0, "LGG": 0}
    for index in range(settings.patients):
        f, m = settings.lgg_fraction, settings.mixed_fraction
        grade = "LGG" if int((index + 1) * f) > int(index * f) else "HGG"
        k = seen[grade]
        seen[grade] += 1
        rng = random_source(settings.seed, 2, index)
        # Half a beat early: a cohort of twelve has patients at a mixed site already.
        if int((k + 1) * m + 0.6) > int(k * m + 0.6):
            choice = [s for s in SITES if s.grades == "mixed"]
            # In turn, so that each mixed site sees both grades.
            site = choice[at_mixed[grade] % len(choice)].name
            at_mixed[grade] += 1
        else:
            by_grade = rng.random() < settings.confounding
            kinds = (grade,) if by_grade else ("HGG", "LGG")
            choice = [s for s in SITES if s.grades in kinds]
            shares = np.array([s.share for s in choice])
            site = choice[int(rng.choice(len(choice), p=shares / shares.sum()))].name
        plans.append(Plan(f"Phantom_{site}_{index:03d}_1", index, grade, site))
    return plans
