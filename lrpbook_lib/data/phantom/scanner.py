"""Sites and their scanners: what an image owes to the machine, not to the patient."""

from dataclasses import asdict, dataclass

import numpy as np

from lrpbook_lib.data.phantom.contrast import Sequences


@dataclass(frozen=True)
class Site:
    """A hospital of the phantom."""

    name: str  #: a letter
    grades: str  #: whom it treats; mixed sites take turns
    share: float  #: of the patients of that kind


#: As in BraTS 2019: one large HGG site, smaller single-grade ones, a few mixed.
SITES = (
    Site("A", "HGG", 0.50),
    Site("B", "HGG", 0.30),
    Site("C", "HGG", 0.20),
    Site("D", "LGG", 0.55),
    Site("E", "LGG", 0.45),
    Site("F", "mixed", 0.55),
    Site("G", "mixed", 0.45),
)


@dataclass(frozen=True)
class Signature:
    """What a scanner does to every image it makes."""

    timing: Sequences  #: of the four sequences
    #: Stored intensity units of an ordinary bright voxel, per sequence.
    gain: tuple[float, ...]
    gamma: float  #: exponent of the intensity response
    bias: float  #: strength of the receive-coil inhomogeneity
    bias_tilt: tuple[float, float, float]  #: direction (x, y, z) of its linear part
    noise: float  #: standard deviation, as a share of the brain's brightness
    blur: float  #: standard deviation of the point spread, mm
    thick: float  #: slice thickness over in-plane resolution, at least 1
    motion: float  #: probability that a sequence shows it
    ghosting: float  #: probability that a sequence shows it

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> "Signature":
        """Draw a scanner; with ``strength=0`` all scanners are the same one."""

        def around(value: float, spread: float) -> float:
            return float(value * np.exp(strength * spread * rng.uniform(-1, 1)))

        nominal = asdict(Sequences())
        spread = {"t1_tr": 0.30, "flair_ti": 0.07, "flair_tr": 0.0}
        timing = {k: around(v, spread.get(k, 0.22)) for k, v in nominal.items()}
        level = around(500, 1.2)
        tilt = rng.normal(0, 1, 3)
        return cls(
            timing=Sequences(**timing),
            gain=tuple(level * around(unit, 0.2) for unit in (1, 1, 1, 1.3)),
            gamma=around(1.0, 0.18),
            bias=around(0.16, 0.8),
            bias_tilt=tuple(strength * tilt / np.linalg.norm(tilt)),
            noise=around(0.030, 0.8),
            blur=around(0.7, 0.7),
            thick=1.0 + strength * float(rng.choice([0.0, 0.6, 1.2])),
            motion=float(np.clip(0.05 + strength * rng.uniform(-0.05, 0.08), 0, 1)),
            ghosting=float(np.clip(0.05 + strength * rng.uniform(-0.05, 0.08), 0, 1)),
        )


def acquire(
    rng: np.random.Generator,
    signal: np.ndarray,
    brain: np.ndarray,
    scanner: Signature,
    spacing: float,
) -> np.ndarray:
    """Turn ideal signals into the images one scanner stores, through torchio.

    Motion and ghosting act on single sequences; then blur, thick slices, the bias
    field, noise, gain and the skull-stripping that the BraTS releases come with.

    Parameters
    ----------
    signal
        ``(4, X, Y, Z)`` float32: t1, t1ce, t2, flair.
    brain
        ``(X, Y, Z)`` bool.

    Returns
    -------
    ndarray
        ``(4, X, Y, Z)`` int16; zero outside the brain, positive inside.
    """
    stored = expose(rng, signal, brain, scanner, spacing)
    return np.where(brain, stored, 0).astype(np.int16)


def expose(
    rng: np.random.Generator,
    signal: np.ndarray,
    brain: np.ndarray,
    scanner: Signature,
    spacing: float,
) -> np.ndarray:
    """As :func:`acquire`, of one sequence or several, with everything around the brain.

    ``(S, X, Y, Z)`` int16, positive everywhere.
    """
    import torch
    import torchio as tio

    affine = np.diag([spacing, spacing, spacing, 1.0])
    # Every sequence on one scale, so that one noise level suits all four.
    reference = np.array([np.quantile(s[brain], 0.75) for s in signal], dtype="f4")
    scaled = torch.from_numpy(signal / reference[:, None, None, None])
    image = tio.ScalarImage(tensor=scaled, affine=affine)
    for channel in range(len(signal)):
        steps = _artifacts(rng, scanner)
        if steps:
            one = tio.ScalarImage(tensor=image.data[channel : channel + 1])
            image.data[channel] = tio.Compose(steps)(one).data[0]
    blur = scanner.blur * rng.uniform(0.85, 1.15)
    image = tio.Blur(std=(blur, blur, blur))(image)
    if scanner.thick > 1.05:
        thick = (scanner.thick, scanner.thick)
        # The range holds one value: what is random about it stays with our seed.
        image = tio.RandomAnisotropy(axes=(2,), downsampling=thick)(image)
    image = tio.BiasField(coefficients=_bias(rng, scanner), order=2)(image)
    noise = scanner.noise * rng.uniform(0.8, 1.2)
    image = tio.Noise(mean=0.0, std=noise, seed=int(rng.integers(2**31)))(image)

    data = np.abs(image.numpy()) ** np.float32(scanner.gamma)
    # A patient's own session: the prescan sets another gain each time.
    gain = (np.array(scanner.gain) * np.exp(rng.normal(0, 0.15, 4)))[: len(data)]
    stored = np.clip(data * gain.astype("f4")[:, None, None, None], 1, 32767)
    return stored.astype(np.int16)


def _artifacts(rng: np.random.Generator, scanner: Signature) -> list:
    import torchio as tio

    steps: list = []
    moved, ghosted = rng.random(2)
    degrees, shift = rng.normal(0, 1.2, (1, 3)), rng.normal(0, 1.0, (1, 3))
    when = rng.uniform(0.3, 0.7, 1)
    intensity, axis = float(rng.uniform(0.2, 0.5)), int(rng.integers(2))
    if moved < scanner.motion:
        steps.append(tio.Motion(degrees, shift, when, "linear"))
    if ghosted < scanner.ghosting:
        steps.append(tio.Ghosting(4, axis, intensity, 0.05))
    return steps


def _bias(rng: np.random.Generator, scanner: Signature) -> list[float]:
    # torchio's order: 1, z, zz, y, yz, yy, x, xz, xy, xx (powers of x outermost).
    x, y, z = scanner.bias_tilt
    own = rng.normal(0, 0.35, 10)
    own[0] = 0.0
    fixed = np.array([0, z, -0.6, y, 0, -0.6, x, 0, 0, -0.6])
    return [float(c) for c in scanner.bias * (fixed + own)]
