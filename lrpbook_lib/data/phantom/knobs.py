"""The knobs of the phantom, and the cohort they plan: grades and sites, no images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pandas as pd

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
    "extra_mixed": (0, 4000),
    "twins": (0, 1000),
}
#: Knobs that older cohorts do not know, and what these were made with.
_LATER = {"extra_mixed": 0, "twins": 0}
#: Knobs that count for nothing where there are twins.
_IDLE: tuple[str, ...] = ("patients", "lgg_fraction", "mixed_fraction", "extra_mixed")
_IDLE += ("confounding", "ventricle_confounding")
#: The first numbers of further patients and of twins: whatever the size of the cohort,
#: they are the same people.
_EXTRA, _TWINS = 5000, 9000


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
    extra_mixed
        Further patients at the sites that treat both grades, half of each grade: a
        large test at sites that nobody was trained on. The others stay who they are.
    twins
        Counterfactual twins, and nobody else: so many new people, each drawn with
        either grade at each site, all else equal, on the scanners of any cohort with
        this seed. Then `patients`, `extra_mixed`, the shares and what confounds count
        for nothing. See :func:`twin_facts`.
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
    extra_mixed: int = 0
    twins: int = 0

    def __post_init__(self) -> None:
        if self.patients < 1:
            raise ValueError(f"patients={self.patients}: a cohort needs at least one")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed}: seeds are zero or positive")
        for name, (low, high) in _RANGES.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name}={value} lies outside {low} to {high}")
        if self.extra_mixed and self.patients > _EXTRA:
            raise ValueError(
                f"patients={self.patients}: with extra_mixed there may be {_EXTRA}"
            )

    @classmethod
    def of(cls, **knobs: Any) -> "PhantomSettings":
        """Knobs as numbers of the kind of their defaults: 2 and 2.0 are one cohort."""
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        return cls(**{k: kinds[k](v) if k in kinds else v for k, v in knobs.items()})

    def settled(self) -> Self:
        """The same, with what counts for nothing at its default, to be named by."""
        given: dict[str, Any] = {f.name: f.default for f in fields(PhantomSettings)}
        return replace(self, **{k: given[k] for k in _IDLE}) if self.twins else self


def named_by(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """What names a cohort: later knobs only where they are not neutral.

    Names and bytes of older cohorts hold.
    """
    return {k: v for k, v in knobs.items() if k not in _LATER or v != _LATER[k]}


def with_later(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs of a cohort that may be older than some of them."""
    return {**_LATER, **knobs}


@dataclass(frozen=True)
class Plan:
    """Who a phantom patient is, decided before any image is made."""

    #: As in BraTS, with the site inside, ``Phantom_A_007_1``; of a twin with the grade
    #: too, ``Phantom_A_9007H_1``.
    case: str
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
    if settings.twins:
        return [
            Plan(f"Phantom_{site.name}_{person}{grade[0]}_1", person, grade, site.name)
            for person in range(_TWINS, _TWINS + settings.twins)
            for grade in ("HGG", "LGG")
            for site in SITES
        ]
    mixed = [s.name for s in SITES if s.grades == "mixed"]
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
            # In turn, so that each mixed site sees both grades.
            site = mixed[at_mixed[grade] % len(mixed)]
            at_mixed[grade] += 1
        else:
            by_grade = rng.random() < settings.confounding
            kinds = (grade,) if by_grade else ("HGG", "LGG")
            choice = [s for s in SITES if s.grades in kinds]
            shares = np.array([s.share for s in choice])
            site = choice[int(rng.choice(len(choice), p=shares / shares.sum()))].name
        plans.append(Plan(f"Phantom_{site}_{index:03d}_1", index, grade, site))
    for k in range(settings.extra_mixed):
        grade, site = ("LGG", "HGG")[k % 2], mixed[k // 2 % len(mixed)]
        plans.append(Plan(f"Phantom_{site}_{_EXTRA + k}_1", _EXTRA + k, grade, site))
    return plans


def twin_facts(samples: Any) -> pd.DataFrame:
    """Which twin each sample shows.

    Parameters
    ----------
    samples : SliceSet or DataFrame
        Slices of a phantom that was made with ``twins``, or predictions on them:
        what has ``patient`` and ``site``.

    Returns
    -------
    DataFrame
        A row a sample: ``person`` (a number that all fourteen twins share), ``grade``
        and ``site``.
    """
    found = [re.fullmatch(r"Phantom_[A-Z]+_(\d+)([HL])", p) for p in samples.patient]
    if strange := [p for p, m in zip(samples.patient, found, strict=True) if not m]:
        raise ValueError(
            f"{strange[0]} is no twin: make the phantom with twins=30, for one"
        )
    return pd.DataFrame(
        {
            "person": [int(m[1]) for m in found if m],
            "grade": [f"{m[2]}GG" for m in found if m],
            "site": list(samples.site),
        }
    )
