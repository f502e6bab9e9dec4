"""The knobs of the synthetic heads, one a cause, and the people that they plan."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lrpbook_lib.data.phantom.knobs import random_source

#: Raised by hand when the same settings would give other bytes.
RECIPE = 1
#: The groups, in the order of their labels. Both are synthetic.
GROUPS = ("CN", "AD")
#: The preprocessing variants, each a space that images lie in.
SPACES = ("native", "linear", "nonlinear")
_RANGES = {
    "local_effect": (0, 3),
    "global_effect": (0, 3),
    "scalp_cue": (-4, 4),
    "site_strength": (0, 2),
    "site_cue": (0, 1),
    "registration_error": (0, 10),
    "stripping_error": (0, 6),
    "stripping_shift": (-6, 10),
    "spacing": (1, 8),
}


@dataclass(frozen=True)
class HeadSettings:
    """Every knob of the synthetic heads; each changes one cause and leaves the rest.

    Attributes
    ----------
    people
        Size of the cohort, half of them in each group. A smaller cohort is the
        beginning of a larger one.
    seed
        Every random choice follows from it.
    local_effect
        How much more tissue patients lose in the hippocampi, how much further their
        ventricles open and how much more of the white matter beside them is damaged.
    global_effect
        How much more of the whole brain they lose. At 1, brain volume over the volume
        inside the skull tells the groups apart as in OASIS-1 at age 60 and over, with
        an AUC of about 0.71, and falls with age as there.
    scalp_cue
        The scalp of patients is this many mm thicker: a cause outside of the brain.
    site_strength
        How much the scanners of the sites differ; 0: all the same.
    site_cue
        0: a site says nothing of the group; 1: each site has people of one group.
    sites
        How many scanners; named A, B and so on.
    first_site
        Number of the first of them: other numbers are other scanners.
    registration_error
        How far registration misses, mm: the spread of what is left of the shift, and of
        the smooth deformation where that was undone.
    alignment
        Share of what makes a brain one's own (folds, shrinkage, ventricles) that the
        nonlinear registration undoes.
    stripping_error
        Roughness of the brain mask, mm.
    stripping_shift
        The brain mask is this many mm too large, as where the dura is left on.
    spacing
        Edge of the cubic voxels, mm.
    """

    people: int = 120
    seed: int = 0
    local_effect: float = 1.0
    global_effect: float = 1.0
    scalp_cue: float = 0.0
    site_strength: float = 0.5
    site_cue: float = 0.0
    sites: int = 3
    first_site: int = 0
    registration_error: float = 1.0
    alignment: float = 0.8
    stripping_error: float = 1.0
    stripping_shift: float = 0.0
    spacing: float = 2.0

    def __post_init__(self) -> None:
        least = {"people": 2, "seed": 0, "sites": 1, "first_site": 0}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(
                    f"{name}={getattr(self, name)}: it is at least {value}"
                )
        for name, (low, high) in {**_RANGES, "alignment": (0, 1)}.items():
            if not low <= (value := getattr(self, name)) <= high:
                raise ValueError(f"{name}={value} lies outside {low} to {high}")

    @classmethod
    def of(cls, **knobs: Any) -> HeadSettings:
        """Knobs as numbers of the kind of their defaults: 2 and 2.0 are one cohort."""
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        return cls(**{k: kinds[k](v) if k in kinds else v for k, v in knobs.items()})


@dataclass(frozen=True)
class Person:
    """Who a synthetic person is, decided before any image is made.

    Attributes
    ----------
    name
        As in BIDS: ``sub-0007``.
    index
        Number in the cohort; with the seed it decides everything random.
    group
        One of :data:`GROUPS`.
    age, sex, site
    shrinkage
        How far the surface of the brain lies inside the skull, mm.
    ventricles
        How far the walls of the ventricles have moved outwards, mm.
    hippocampus
        Share of the hippocampi that is lost.
    damage
        Share of the white matter beside the ventricles that is damaged.
    size
        Edge of the head over the template's.
    scalp
        Thickness of the fat under the skin, mm.
    """

    name: str
    index: int
    group: str
    age: float
    sex: str
    site: str
    shrinkage: float
    ventricles: float
    hippocampus: float
    damage: float
    size: float
    scalp: float

    @classmethod
    def draw(cls, index: int, settings: HeadSettings) -> Person:
        """Draw a person: age first, which moves everything; then what the group adds.

        Members of both groups come in pairs of nearly the same age. What is drawn does
        not depend on the knobs, which only scale what patients have more.
        """
        rng = random_source(settings.seed, 0, index)
        group = GROUPS[index % 2]
        ill = float(index % 2)
        pair = random_source(settings.seed, 3, index // 2)
        age = float(np.clip(pair.normal(76, 7) + rng.normal(0, 1), 60, 95))
        sex = "F" if rng.random() < 0.58 else "M"
        over = age - 76
        z = rng.standard_normal(6)
        severity = ill * float(np.exp(0.35 * z[5] - 0.06))
        wide, local = settings.global_effect, settings.local_effect
        by_chance, by_group = rng.random(), rng.integers(settings.sites)
        number = int(by_group)
        if by_chance < settings.site_cue:  # even sites for one group, odd for the other
            own = [s for s in range(settings.sites) if s % 2 == index % 2]
            number = own[number % len(own)] if own else number
        number += settings.first_site
        return cls(
            name=f"sub-{index + 1:04d}",
            index=index,
            group=group,
            age=round(age, 1),
            sex=sex,
            site=chr(ord("A") + number) if number < 26 else f"S{number}",
            shrinkage=float(
                np.clip(4.0 + 0.155 * over + 1.05 * z[0] + 1.1 * wide * ill, 0.2, 10)
            ),
            ventricles=float(1.0 + 0.10 * over + 0.8 * z[1] + 0.9 * local * severity),
            hippocampus=float(
                np.clip(
                    0.10 + 0.006 * over + 0.07 * z[2] + 0.24 * local * severity, 0, 0.9
                )
            ),
            damage=float(
                np.clip(
                    0.12 + 0.012 * over + 0.10 * z[3] + 0.14 * local * severity, 0, 0.9
                )
            ),
            size=float(0.915 + 0.026 * z[4] + (0.018 if sex == "M" else -0.013)),
            scalp=float(np.clip(rng.normal(4.5, 1.0), 2, 8) + settings.scalp_cue * ill),
        )


def plan_people(settings: HeadSettings) -> list[Person]:
    """Everybody of a cohort, none of the images."""
    return [Person.draw(index, settings) for index in range(settings.people)]
