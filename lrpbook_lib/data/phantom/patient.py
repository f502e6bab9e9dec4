"""One patient of the phantom: anatomy, tumor, contrast and scanner put together."""

from dataclasses import asdict, dataclass

import numpy as np

from lrpbook_lib.data.phantom import anatomy, contrast, glioma, scanner
from lrpbook_lib.data.phantom.knobs import PhantomSettings, Plan, random_source


@dataclass(frozen=True)
class Patient:
    """The volumes of one patient and the truth behind them.

    Axes run to the left, back and up (LPS, as in BraTS).
    """

    images: np.ndarray  #: ``(4, X, Y, Z)`` int16: t1, t1ce, t2, flair
    labels: np.ndarray  #: ``(X, Y, Z)`` uint8: 0, 1, 2, 4
    truth: dict  #: numbers that the images were made from, for the manifest


def scanner_of(seed: int, site: str, strength: float) -> scanner.Signature:
    """The scanner of a site: the same one for all its patients."""
    number = [s.name for s in scanner.SITES].index(site)
    return scanner.Signature.draw(random_source(seed, 1, number), strength)


def draw_patient(plan: Plan, knobs: PhantomSettings) -> Patient:
    """Make the volumes of one patient; the same arguments give the same bytes."""
    knobs = knobs.settled()  # of twins, grade changes the tumor and nothing else
    seed, spacing = knobs.seed, knobs.spacing
    # Separate streams: a knob that changes one of the causes leaves the others be.
    person, growth, machine = (random_source(seed, 0, plan.index, k) for k in range(3))
    atlas = anatomy.load_atlas(spacing)
    points, full = anatomy.grid(spacing)
    side = 1 if plan.grade == "HGG" else -1
    pose = anatomy.Pose.draw(person, side * knobs.ventricle_confounding)
    where = anatomy.place_head(person, pose, points, spacing)

    traits = glioma.Traits.draw(growth, plan.grade, knobs.difficulty)
    seat = atlas.seats[growth.integers(len(atlas.seats))]
    nearest = ((where - seat[:, None, None, None]) ** 2).sum(0).argmin()
    center = points.reshape(3, -1)[:, nearest]
    where = glioma.push_tissue(where, points, center, traits)
    gray, white, fluid, brain = anatomy.sample_tissue(atlas, where, pose.ventricles)
    tumor = glioma.grow(growth, traits, points, center, white, fluid, brain, spacing)

    fractions, agent = _mix(person, gray, white, fluid, tumor, spacing)
    signature = scanner_of(seed, plan.site, knobs.site_strength)
    signal = contrast.image_sequences(fractions, agent, signature.timing)
    inside = brain > 0.5
    images = scanner.acquire(machine, signal, inside, signature, spacing)
    labels = np.where(inside, tumor.labels, 0).astype(np.uint8)
    mm3 = spacing**3
    truth = {
        "center_mni_mm": [round(float(c), 1) for c in seat],
        "traits": traits.to_dict(),
        "pose": asdict(pose),
        "volume_ml": {
            name: round(float((labels == value).sum() * mm3 / 1000), 2)
            for name, value in (("core", 1), ("edema", 2), ("enhancing", 4))
        },
    }
    return Patient(_to_lps(images, full), _to_lps(labels[None], full)[0], truth)


def _mix(
    rng: np.random.Generator,
    gray: np.ndarray,
    white: np.ndarray,
    fluid: np.ndarray,
    tumor: glioma.Glioma,
    spacing: float,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    taken = tumor.core + tumor.enhancing + tumor.necrosis + tumor.edema
    free = np.clip(1 - taken, 0, 1)
    # Veins run in the sulci and take up contrast agent: bright, and no tumor.
    ridge = np.abs(anatomy.smooth_field(rng, gray.shape, spacing, 9.0))
    veins = np.clip(1 - ridge / 0.12, 0, 1) * fluid * free
    fractions = {
        "gray": gray * free + veins,
        "white": white * free,
        "fluid": fluid * free - veins,
        "edema": tumor.edema,
        "core": tumor.core,
        "enhancing": tumor.enhancing,
        "necrosis": tumor.necrosis,
    }
    blood = 0.012 * gray * free + 0.006 * white * free + 0.35 * veins
    return fractions, tumor.agent + blood


def _to_lps(volumes: np.ndarray, full: tuple[int, int, int]) -> np.ndarray:
    """Pad the brain box to the field of view; turn right-front-up to left-back-up."""
    out = np.zeros((len(volumes), *full), dtype=volumes.dtype)
    lead = [(whole - n) // 2 for whole, n in zip(full, volumes.shape[1:], strict=True)]
    box = tuple(slice(a, a + n) for a, n in zip(lead, volumes.shape[1:], strict=True))
    out[:, *box] = volumes
    return np.ascontiguousarray(out[:, ::-1, ::-1])
