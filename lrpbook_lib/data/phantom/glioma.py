"""Gliomas of the phantom: what grade changes, and a tumor that grows into tissue."""

from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from lrpbook_lib.data.phantom.anatomy import smooth_field

#: Labels of the BraTS releases: necrosis and non-enhancing core, edema, enhancing.
CORE, EDEMA, ENHANCING = 1, 2, 4


def class_separation(difficulty: float) -> float:
    r"""Half the distance between the grades on the hidden malignancy scale.

    Malignancy is :math:`z \sim N(\pm\mu, 1)`, with the plus for HGG, so nobody can
    do better than :math:`\Phi(\mu)` from it: :math:`\mu = 3(1 - difficulty) + 0.25`.
    """
    return 3.0 * (1.0 - difficulty) + 0.25


@dataclass(frozen=True)
class Traits:
    """What can be seen of one tumor."""

    malignancy: float  #: the hidden cause of all the others
    radius: float  #: of the core, mm
    lobes: int  #: number of blobs the core is the union of
    irregularity: float  #: roughness of the border, as a share of the radius
    softness: float  #: width of the border, mm
    necrosis: float  #: radius of the necrotic center, as a share of the core's
    agent: float  #: contrast agent in the enhancing part, mmol/l
    patchiness: float  #: share of the rim left without enhancement
    edema: float  #: reach of the edema beyond the core, mm
    mass_effect: float  #: how far the surrounding tissue is pushed away, mm

    @classmethod
    def draw(cls, rng: np.random.Generator, grade: str, difficulty: float) -> "Traits":
        """Draw a tumor of a grade; each trait follows malignancy with its own noise."""
        side = 1 if grade == "HGG" else -1
        z = float(rng.normal(side * class_separation(difficulty), 1.0))

        def rise(steepness: float, middle: float = 0.0) -> float:
            noisy = z + rng.normal(0, 0.7)
            return float(1 / (1 + np.exp(-steepness * (noisy - middle))))

        radius = float(np.clip(21 * np.exp(rng.normal(0, 0.24)), 11, 34))
        return cls(
            malignancy=z,
            radius=radius,
            lobes=int(rng.integers(1, 4)),
            irregularity=0.10 + 0.22 * rise(1.2) + float(rng.uniform(0, 0.08)),
            softness=3.2 - 2.0 * rise(1.0) + float(rng.uniform(0, 0.8)),
            necrosis=0.80 * rise(1.6, 0.3),
            agent=0.02 + 0.30 * rise(1.6, 0.1) * float(rng.uniform(0.7, 1.3)),
            patchiness=0.65 - 0.5 * rise(1.2) + float(rng.uniform(-0.1, 0.1)),
            edema=3.0 + 24.0 * rise(1.1, 0.2) * float(rng.uniform(0.6, 1.2)),
            mass_effect=1.0 + 4.0 * rise(0.9) * float(rng.uniform(0.5, 1.2)),
        )

    def to_dict(self) -> dict[str, float]:
        """Plain numbers, rounded, for the manifest."""
        return {key: round(value, 4) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Glioma:
    """A tumor in place, voxel by voxel: ``(X, Y, Z)`` each."""

    core: np.ndarray  #: share of the voxel, float32; as those below
    enhancing: np.ndarray
    necrosis: np.ndarray
    edema: np.ndarray  #: the four shares sum to one at most
    agent: np.ndarray  #: mmol/l, float32
    labels: np.ndarray  #: 0, 1, 2 or 4, uint8


def push_tissue(
    where: np.ndarray, points: np.ndarray, center: np.ndarray, traits: Traits
) -> np.ndarray:
    """Mass effect: tissue around the tumor is displaced away from its center.

    Parameters
    ----------
    where, points
        ``(3, X, Y, Z)`` mm: atlas coordinates, and positions in the patient.
    center
        ``(3,)`` mm, in the patient.
    """
    away = points - center[:, None, None, None]
    distance = np.sqrt((away**2).sum(0)) + 1e-3
    reach = np.maximum(distance - 0.6 * traits.radius, 0) / 16.0
    amount = traits.mass_effect * np.exp(-(reach**2))
    return where - away * (amount / np.maximum(distance, traits.radius))


def _step(x: np.ndarray, width: float) -> np.ndarray:
    """A soft step from 0 to 1 at x = 0, `width` wide."""
    return np.clip(x / width + 0.5, 0, 1)


def grow(
    rng: np.random.Generator,
    traits: Traits,
    points: np.ndarray,
    center: np.ndarray,
    white: np.ndarray,
    fluid: np.ndarray,
    brain: np.ndarray,
    spacing: float,
) -> Glioma:
    """Let a tumor of these traits grow at `center`.

    The core is a union of rough ellipsoids. Edema spreads from it by repeated
    local averaging that white matter lets through and gray matter and fluid slow
    down, so it runs in fingers along the white matter.

    Parameters
    ----------
    points
        ``(3, X, Y, Z)`` mm: the patient's grid.
    center
        ``(3,)`` mm.
    white, fluid, brain
        ``(X, Y, Z)`` tissue fractions.
    """
    shape = brain.shape
    away = points - center[:, None, None, None]
    near = np.sqrt((away**2).sum(0)) < 2.0 * traits.radius + 2.2 * traits.edema + 10
    box = ndimage.find_objects(near.astype(np.uint8))[0]
    away, white, fluid, brain = away[:, *box], white[box], fluid[box], brain[box]

    def noise(length: float) -> np.ndarray:
        return smooth_field(rng, brain.shape, spacing, length)

    depth = _core_depth(rng, traits, away)
    depth += (
        traits.radius
        * traits.irregularity
        * (0.7 * noise(0.8 * traits.radius) + 0.4 * noise(7.0))
    )
    # Sulci and ventricles bound the core; gray matter does not.
    open_tissue = np.clip(1.4 * (brain - 0.9 * fluid), 0, 1)
    body = _step(depth, traits.softness + spacing) * open_tissue
    hollow = depth - traits.radius * (1 - traits.necrosis) * (1 + 0.25 * noise(9.0))
    # A necrotic center below a few millimeters is no necrosis one could see.
    dead = body * _step(hollow, 2.0) if traits.necrosis > 0.12 else 0 * body
    living = body - dead
    # The rim enhances, in patches; deeper living tissue less so.
    ratio = np.clip(hollow / (-0.45 * traits.radius), -1, 2)
    patch = _step(noise(10.0) - 2.2 * (traits.patchiness - 0.5), 0.8)
    rim = patch * np.exp(-(np.maximum(ratio, 0) ** 2)) * (0.8 + 0.2 * noise(5.0))
    lit = np.clip(rim, 0, 1.2)
    agent = traits.agent * lit * living
    bright = np.clip(lit * traits.agent / 0.12, 0, 1)
    enhancing = living * _step(bright - 0.5, 0.5)
    wet = _spread_edema(noise, body, white, fluid, brain, traits, spacing)
    edema = np.clip(wet, 0, 1) * (1 - body) * np.clip(brain - fluid, 0, 1)

    labels = np.zeros(brain.shape, dtype=np.uint8)
    labels[(edema > 0.4) & (brain > 0.5)] = EDEMA
    labels[(body > 0.5) & (brain > 0.5)] = CORE
    labels[(body > 0.5) & (enhancing > 0.5 * body) & (brain > 0.5)] = ENHANCING

    def whole(part: np.ndarray, dtype: str = "f4") -> np.ndarray:
        out = np.zeros(shape, dtype=dtype)
        out[box] = part
        return out

    return Glioma(
        core=whole(living - enhancing),
        enhancing=whole(enhancing),
        necrosis=whole(dead),
        edema=whole(edema),
        agent=whole(agent),
        labels=whole(labels, "u1"),
    )


def _core_depth(
    rng: np.random.Generator, traits: Traits, away: np.ndarray
) -> np.ndarray:
    """Distance in mm inside the border of the union of blobs (negative outside)."""
    depth = np.full(away.shape[1:], -np.inf, dtype=np.float32)
    for lobe in range(traits.lobes):
        radius = traits.radius * (1.0 if lobe == 0 else rng.uniform(0.45, 0.75))
        offset = rng.normal(0, 1, 3)
        offset *= 0.0 if lobe == 0 else 0.75 * traits.radius / np.linalg.norm(offset)
        stretch = np.exp(rng.normal(0, 0.16, 3))
        stretch /= stretch.prod() ** (1 / 3)
        scaled = (away - offset[:, None, None, None]) / stretch[:, None, None, None]
        blob = radius - np.sqrt((scaled**2).sum(0))
        depth = np.maximum(depth, blob.astype(np.float32))
    return depth


def _spread_edema(
    noise, body, white, fluid, brain, traits: Traits, spacing: float
) -> np.ndarray:
    rounds = max(1, round(1.5 * traits.edema / spacing))
    uneven = np.clip(0.9 + 0.5 * noise(18.0), 0.1, 1.6)
    gate = _step(white - 0.55, 0.5)
    speed = np.clip(0.12 + gate - 1.2 * fluid, 0, 1) * uneven * brain
    wet = body.copy()
    for _ in range(rounds):
        spread = ndimage.uniform_filter(wet, 3)
        wet = np.maximum(body, np.minimum(1, spread * (0.82 + 0.8 * speed)))
    wet = _step(wet - 0.35, 0.5) * np.clip(0.2 + 0.9 * gate, 0, 1)
    return ndimage.gaussian_filter(wet, 0.5)
