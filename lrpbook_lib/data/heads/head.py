"""One synthetic head: the template bent into a person, and imaged by a scanner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lrpbook_lib.data.heads.knobs import SPACES, HeadSettings, Person
from lrpbook_lib.data.heads.registration import native_points
from lrpbook_lib.data.heads.template import (
    CONTOUR,
    REGIONS,
    Template,
    load_template,
)
from lrpbook_lib.data.phantom import anatomy
from lrpbook_lib.data.phantom.contrast import TISSUES, Tissue, spin_echo
from lrpbook_lib.data.phantom.knobs import random_source
from lrpbook_lib.data.phantom.scanner import Signature, expose

if TYPE_CHECKING:
    pass

#: Field of view in mm (left-right, front-back, up-down), and where its middle lies in
#: MNI coordinates. All heads have the same one: it can tell nothing.
FIELD = (176.0, 224.0, 192.0)
MIDDLE = np.array([0.0, -13.0, -2.0], dtype=np.float32)
#: What is around a brain, beside the tissues of the phantom.
AROUND = {
    "bone": Tissue(0.06, 0.40, 0.010),
    "fat": Tissue(0.90, 0.28, 0.070),
    "muscle": Tissue(0.75, 1.10, 0.040),
}
_SKULL = 6.5  # mm
_GAP = 1.0  # mm between hull and skull


@dataclass(frozen=True)
class Head:
    """The volumes of one synthetic person, on the grid of one space.

    Axes run to the right, to the front and up; ``(X, Y, Z)`` each.

    Attributes
    ----------
    t1
        int16, the skull on.
    brain
        bool: the brain mask, with the errors of its stripping.
    tissues
        ``gray``, ``white`` and ``fluid`` to float32 fractions.
    regions
        uint8, see :data:`~lrpbook_lib.data.heads.template.REGIONS`.
    affine
        ``(4, 4)``: voxel to coordinates in mm; of MNI space where registered.
    """

    t1: np.ndarray
    brain: np.ndarray
    tissues: dict[str, np.ndarray]
    regions: np.ndarray
    affine: np.ndarray


def grid(spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates ``(3, X, Y, Z)`` of all voxels in mm, and the affine."""
    shape = tuple(round(length / spacing) for length in FIELD)
    axes = [
        ((np.arange(n) - (n - 1) / 2) * spacing + middle).astype("f4")
        for n, middle in zip(shape, MIDDLE, strict=True)
    ]
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [axis[0] for axis in axes]
    return np.stack(np.meshgrid(*axes, indexing="ij")), affine


def draw_head(
    person: Person, settings: HeadSettings, spaces: tuple[str, ...] = ("native",)
) -> dict[str, Head]:
    """The head of a person in each space; the same arguments give the same voxels.

    Native images lie in the scanner as the person did. ``linear`` undoes the place and
    the size of the head, ``nonlinear`` most of the shape of the brain too, by the
    transforms that the head was made with, but for the errors that the knobs ask for.
    """
    # Separate streams: a knob that changes one of the causes leaves the others be.
    machine, strip = (random_source(settings.seed, k, person.index) for k in (5, 6))
    template, bend = load_template(settings.spacing), _Bend.of(person, settings)
    hull, form = bend.at_hull[0], bend.rng
    surface = _around(template, bend.moved)[0]
    fractions, regions, inner = _tissues(
        form, template, bend.moved, surface, hull, person, settings.spacing
    )
    fractions |= _wrap(form, bend.at_hull, inner, person, settings.spacing)
    signature = _scanner(settings, person.site)
    t1 = _image(machine, fractions, hull < 0, signature, settings.spacing)
    rough = anatomy.smooth_field(strip, hull.shape, settings.spacing, 18.0)
    edge = settings.stripping_shift + settings.stripping_error * rough
    tissues = {name: fractions[name] for name in ("gray", "white", "fluid")}
    tissues["white"] = tissues["white"] + fractions["edema"]
    # The scanner knows nothing of MNI: its own middle is its origin.
    own = bend.affine.copy()
    own[:3, 3] -= MIDDLE
    heads = {"native": Head(t1, surface < edge, tissues, regions, own)}
    for space in spaces:
        if space != "native":
            where = bend.fetched(space, settings)
            heads[space] = resampled(heads["native"], where, bend.points, bend.affine)
    return {space: heads[space] for space in spaces}


def fetched_from(
    person: Person, settings: HeadSettings, space: str = "nonlinear"
) -> np.ndarray:
    """Voxels of the native head that the template's are fetched from, all known.

    ``(3, X, Y, Z)``: where :func:`resampled` would fetch without any error, with all
    that is a person's own undone. So may maps of native heads be averaged.
    """
    exact = replace(settings, registration_error=0.0, alignment=1.0)
    bend = _Bend.of(person, exact)
    start = bend.points[:, 0, 0, 0][:, None, None, None]
    return (bend.fetched(space, exact) - start) / settings.spacing


@dataclass(frozen=True)
class _Bend:
    """How a head differs from the template, on the grid of its scanner."""

    person: Person
    rng: np.random.Generator  #: what is drawn next of this person's anatomy
    pose: anatomy.Pose
    points: np.ndarray
    affine: np.ndarray
    placed: np.ndarray  #: atlas coordinates by place, size and folds
    at_hull: np.ndarray  #: the drawn parts there
    moved: np.ndarray  #: atlas coordinates with the shrinkage, too

    @classmethod
    def of(cls, person: Person, settings: HeadSettings) -> _Bend:
        rng = random_source(settings.seed, 4, person.index)
        points, affine = grid(settings.spacing)
        pose = _pose(rng, person)
        placed = anatomy.place_head(rng, pose, points, settings.spacing)
        at_hull = _around(load_template(settings.spacing), placed)
        moved = placed + person.shrinkage * at_hull[2:]
        return cls(person, rng, pose, points, affine, placed, at_hull, moved)

    def fetched(self, space: str, settings: HeadSettings) -> np.ndarray:
        """Points of the scanner that those of MNI space are fetched from, mm."""
        errors = random_source(settings.seed, 7, self.person.index, SPACES.index(space))
        bent = np.zeros_like(self.points)
        if space == "nonlinear":
            brain = load_template(settings.spacing).brain
            bent = self.moved - self.pose.into_atlas(self.points)
            bent += _opened(brain, self.moved, self.person.ventricles)
        return native_points(errors, self.pose, self.points, bent, settings)


def _opened(brain: anatomy.Atlas, where: np.ndarray, ventricles: float) -> np.ndarray:
    """Where the walls of the ventricles are sampled from, less where they are, mm."""
    origin = brain.origin[:, None, None, None]
    at = anatomy.widened(brain, where, ventricles)
    return at * brain.step + origin - where


def resampled(
    head: Head, where: np.ndarray, points: np.ndarray, affine: np.ndarray
) -> Head:
    """A head on another grid: its voxels fetched from `where`, ``(3, X, Y, Z)`` mm.

    Parameters
    ----------
    points
        Coordinates of the head's own voxels, in the same frame.
    affine
        Of the result.
    """
    import torch

    start = points[:, 0, 0, 0][:, None, None, None]
    at = (where - start) / float(points[0, 1, 0, 0] - points[0, 0, 0, 0])
    parts = [head.t1, head.brain, *head.tissues.values()]
    maps = torch.from_numpy(np.stack([np.asarray(p, "f4") for p in parts]))
    t1, brain, *rest = anatomy.sample(maps, at)
    label = torch.from_numpy(head.regions.astype("f4"))[None]
    regions = np.rint(anatomy.sample(label, at, mode="nearest")[0]).astype(np.uint8)
    tissues = dict(zip(head.tissues, rest, strict=True))
    return Head(np.rint(t1).astype("i2"), brain > 0.5, tissues, regions, affine)


def _pose(rng: np.random.Generator, person: Person) -> anatomy.Pose:
    drawn = anatomy.Pose.draw(rng)
    a, b, c = (float(person.size * (1 + 0.4 * (s - 1))) for s in drawn.scale)
    return anatomy.Pose(
        drawn.degrees, (a, b, c), drawn.shift, drawn.wobble, person.ventricles
    )


def _around(template: Template, where: np.ndarray) -> np.ndarray:
    """The drawn parts of the template at MNI coordinates: ``(5, X, Y, Z)``."""
    origin = template.origin[:, None, None, None]
    return anatomy.sample(template.outside, (where - origin) / template.step, "border")


def _tissues(
    rng: np.random.Generator,
    template: Template,
    where: np.ndarray,
    surface: np.ndarray,
    hull: np.ndarray,
    person: Person,
    spacing: float,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Tissue fractions inside the skull, the regions, and where the skull begins."""
    at = anatomy.widened(template.brain, where, person.ventricles)
    gray, white, _, _ = anatomy.tissue_at(template.brain, at)
    soft = anatomy.sample(template.local, at)
    lost = person.hippocampus * soft[0]
    gray, white = gray * (1 - lost), white * (1 - lost)
    # Damage comes in spots, as it does on T1 images of old people.
    spots = anatomy.smooth_field(rng, hull.shape, spacing, 9.0)
    spots = np.clip(0.5 + 0.5 * spots, 0, 1)
    ill = np.minimum(white, 2 * person.damage * spots * soft[1] * white)
    inner = _step(hull - _GAP, spacing)
    fluid = np.clip(inner - gray - white, 0, 1)
    fractions = {"gray": gray, "white": white - ill, "edema": ill, "fluid": fluid}
    label = anatomy.sample(template.regions[None].float(), at, mode="nearest")[0]
    regions = np.rint(label).astype(np.uint8)
    regions[(regions == 0) & (hull < 0)] = REGIONS.index("other fluid")
    regions[np.abs(surface) < CONTOUR] = REGIONS.index("contour")
    regions[surface >= CONTOUR] = 0
    return fractions, regions, inner


def _wrap(
    rng: np.random.Generator,
    at: np.ndarray,
    inner: np.ndarray,
    person: Person,
    spacing: float,
) -> dict[str, np.ndarray]:
    """Bone, fat and muscle around what lies inside the skull."""
    hull, body = at[0], at[1]
    skull = _SKULL + 0.8 * rng.standard_normal()
    bone_end = _GAP + skull
    skin = np.minimum(hull - bone_end - person.scalp, body)
    head = _step(skin, spacing) * (1 - inner)
    bone = _step(hull - bone_end, spacing) * head
    # Marrow between the tables of the skull, fat under the skin, air in the nose.
    marrow = bone * np.exp(-(((hull - _GAP - skull / 2) / (0.22 * skull)) ** 2))
    rest = head - bone
    depth = -skin
    muscle = rest * _step(person.scalp - depth, spacing)
    air = _step(40 + body, spacing) * muscle  # deep in face and neck
    fat = rest - muscle
    return {
        "bone": bone - marrow,
        "fat": fat + 0.6 * marrow,
        "muscle": muscle - 0.8 * air,
    }


def _step(distance: np.ndarray, spacing: float) -> np.ndarray:
    """1 inside, 0 outside, and between them over about a voxel."""
    return np.clip(0.5 - distance / max(spacing, 1.5), 0, 1)


def _scanner(settings: HeadSettings, site: str) -> Signature:
    number = ord(site) - ord("A") if len(site) == 1 else int(site[1:])
    return Signature.draw(
        random_source(settings.seed, 1, number), settings.site_strength
    )


def _image(
    rng: np.random.Generator,
    fractions: dict[str, np.ndarray],
    brain: np.ndarray,
    signature: Signature,
    spacing: float,
) -> np.ndarray:
    tissues, timing = {**TISSUES, **AROUND}, signature.timing
    signal = sum(
        np.float32(spin_echo(tissues[name], timing.t1_tr, timing.t1_te)) * part
        for name, part in fractions.items()
    )
    return expose(rng, np.asarray(signal, "f4")[None], brain, signature, spacing)[0]
