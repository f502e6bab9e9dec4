"""Brains of the phantom: the MNI152 tissue maps, bent into one patient's anatomy.

The maps come with the nilearn package (ICBM 152 nonlinear 2009a, Fonov et al. 2009;
copyright 1993-2004 Louis Collins, McConnell Brain Imaging Centre, McGill).
"""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

if TYPE_CHECKING:
    import torch

#: Field of view in mm (left-right, front-back, up-down), that of the BraTS releases.
FIELD_OF_VIEW = (240.0, 240.0, 156.0)
#: The part of it that a brain of any pose fills, and that is worth computing.
BRAIN_BOX = (184.0, 224.0, 156.0)
#: Where the middle of the field of view lies in MNI coordinates, mm.
CENTER = np.array([0.0, -18.0, 6.0], dtype=np.float32)


@dataclass(frozen=True)
class Atlas:
    """Tissue maps on a regular grid in MNI space."""

    #: ``(3, X, Y, Z)`` float32: gray matter, white matter and brain, as fractions.
    maps: "torch.Tensor"
    #: ``(3, X, Y, Z)`` float32: unit vectors away from the lateral ventricles, fading
    #: with the distance from them. Sampling against them widens the ventricles.
    push: "torch.Tensor"
    origin: np.ndarray  #: MNI coordinates in mm of voxel (0, 0, 0)
    step: float  #: grid spacing in mm
    #: ``(S, 3)`` float32: MNI coordinates where a glioma may sit (cerebral white
    #: matter, some distance away from the ventricles).
    seats: np.ndarray


@dataclass(frozen=True)
class Pose:
    """How one head differs from the atlas."""

    degrees: tuple[float, float, float]  #: three angles
    scale: tuple[float, float, float]
    shift: tuple[float, float, float]  #: mm
    wobble: float  #: standard deviation of the smooth deformation, mm
    ventricles: float  #: how far the ventricle walls move outwards, mm

    @classmethod
    def draw(cls, rng: np.random.Generator, ventricles: float = 0.0) -> "Pose":
        """Draw a head; `ventricles` moves the mean of the ventricle width, mm."""

        def triple(mean: float, sd: float) -> tuple[float, float, float]:
            a, b, c = rng.normal(mean, sd, 3)
            return float(a), float(b), float(c)

        return cls(
            degrees=triple(0, 3.5),
            scale=triple(1, 0.035),
            shift=triple(0, 2.5),
            wobble=float(rng.uniform(1.5, 3.0)),
            ventricles=float(np.clip(rng.normal(ventricles, 1.2), -1.5, 5.0)),
        )

    def into_atlas(self, points: np.ndarray) -> np.ndarray:
        """Atlas coordinates ``(3, ...)`` of points of the head, by its place and size.

        What is smooth about a head, and not linear, comes on top.
        """
        middle = CENTER + np.array(self.shift, dtype=np.float32)
        flat = points.reshape(3, -1) - middle[:, None]
        return (self._matrix @ flat + CENTER[:, None]).reshape(points.shape)

    def from_atlas(self, points: np.ndarray) -> np.ndarray:
        """The way back of :meth:`into_atlas`."""
        middle = CENTER + np.array(self.shift, dtype=np.float32)
        back = np.linalg.inv(self._matrix.astype("f8")).astype("f4")
        flat = points.reshape(3, -1) - CENTER[:, None]
        return (back @ flat + middle[:, None]).reshape(points.shape)

    @property
    def _matrix(self) -> np.ndarray:
        turn = Rotation.from_euler("xyz", self.degrees, degrees=True).as_matrix()
        return (turn / np.array(self.scale)).astype(np.float32)


def _nilearn_map(name: str) -> Any:
    # Importing nilearn takes seconds; only its data files are wanted.
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the phantom needs nilearn: pip install nilearn")
    folder = Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    return nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")


@lru_cache(maxsize=2)
def load_atlas(spacing: float) -> Atlas:
    """Read the MNI152 maps, smoothed for sampling at `spacing` mm.

    The result is kept for the process: a worker pays for it once.
    """
    import torch  # takes seconds: planning a cohort does without

    sources = {name: _nilearn_map(name) for name in ("t1", "gm", "wm")}
    origin = sources["t1"].affine[:3, 3].astype(np.float32)
    t1, gm, wm = (np.asanyarray(sources[n].dataobj) for n in ("t1", "gm", "wm"))
    brain = ndimage.binary_fill_holes(
        ndimage.binary_opening(t1 > 0, iterations=2)
    ).astype(np.uint8)
    box = ndimage.find_objects(brain)[0]
    box = tuple(slice(max(s.start - 4, 0), s.stop + 4) for s in box)
    origin = origin + np.array([s.start for s in box], dtype=np.float32)
    maps = np.empty((3, *brain[box].shape), dtype=np.float32)
    for row, (part, unit) in enumerate(((gm, 255), (wm, 255), (brain, 1))):
        # 0.4 of the target spacing: partial volume without aliasing.
        ndimage.gaussian_filter(
            part[box].astype(np.float32) / unit, 0.4 * spacing, output=maps[row]
        )
    push, seats = _ventricles_and_seats(maps, origin)
    return Atlas(torch.from_numpy(maps), torch.from_numpy(push), origin, 1.0, seats)


def _ventricles_and_seats(
    maps: np.ndarray, origin: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    coarse = 3  # mm; both results are smooth
    gm, wm, brain = maps[:, ::coarse, ::coarse, ::coarse]
    where = np.stack(np.meshgrid(*map(np.arange, brain.shape), indexing="ij"))
    mni = where * coarse + origin[:, None, None, None]
    fluid = (brain - gm - wm > 0.5) & (brain > 0.9)
    deep = ndimage.distance_transform_edt(brain > 0.5) * coarse
    # The lateral ventricles: deep fluid around the middle, above the midbrain.
    central = (np.abs(mni[0]) < 42) & (mni[2] > -6) & (mni[2] < 40)
    core = fluid & (deep > 24) & central & (mni[1] > -75) & (mni[1] < 40)
    pieces, count = ndimage.label(core)
    sizes = ndimage.sum_labels(core, pieces, np.arange(1, count + 1))
    ventricle = np.isin(pieces, 1 + np.flatnonzero(sizes > 0.1 * sizes.max()))
    away = ndimage.distance_transform_edt(~ventricle) * coarse
    inside = ndimage.distance_transform_edt(ventricle) * coarse
    signed = ndimage.gaussian_filter(away - inside, 1.0)
    slope = np.stack(np.gradient(signed, coarse)).astype(np.float32)
    push = slope * np.exp(-np.maximum(away, 0) / 14.0).astype(np.float32)
    # Above the cerebellum: the tentorium rises from front to back.
    cerebrum = (mni[2] > -22 - 0.45 * np.minimum(mni[1] + 20, 0)) & (mni[2] < 50)
    seat = (wm > 0.5) & cerebrum & (np.abs(mni[0]) > 14) & (away > 5) & (deep > 7)
    return push, mni[:, seat].T.astype(np.float32)


def grid(spacing: float) -> tuple[np.ndarray, tuple[int, int, int]]:
    """MNI coordinates (mm) of the brain box, and the shape of the full grid."""
    full = tuple(round(length / spacing) for length in FIELD_OF_VIEW)
    axes = []
    for length, whole, middle in zip(BRAIN_BOX, full, CENTER, strict=True):
        n = min(round(length / spacing / 2) * 2 + whole % 2, whole)
        axes.append(((np.arange(n) - (n - 1) / 2) * spacing + middle).astype("f4"))
    return np.stack(np.meshgrid(*axes, indexing="ij")), full  # type: ignore[return-value]


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, ...], spacing: float, length: float
) -> np.ndarray:
    """Smooth Gaussian noise of unit variance: cubic B-splines `length` mm apart."""
    bases = []
    for n in shape:
        place = np.arange(n, dtype=np.float32) * spacing / length + rng.random()
        knots = np.arange(-1, int(place[-1]) + 3)
        d = np.abs(place[:, None] - knots)
        inner, outer = 2 / 3 - d**2 + d**3 / 2, (2 - d) ** 3 / 6
        bases.append(np.where(d < 1, inner, np.where(d < 2, outer, 0)).astype("f4"))
    field = rng.standard_normal([b.shape[1] for b in bases], dtype=np.float32)
    for basis in bases:
        field = np.tensordot(field, basis, axes=(0, 1))
    return field * np.float32(0.4794**-1.5)  # sum of squared B-splines, per axis


def place_head(
    rng: np.random.Generator, pose: Pose, points: np.ndarray, spacing: float
) -> np.ndarray:
    """Atlas coordinates of each point of the patient's head, before ventricles move.

    ``(3, X, Y, Z)`` mm, as `points` are, in MNI space.
    """
    placed = pose.into_atlas(points)
    shape = points.shape[1:]
    for axis in range(3):
        placed[axis] += pose.wobble * smooth_field(rng, shape, spacing, 45.0)
    return placed


def sample(
    maps: "torch.Tensor",
    where: np.ndarray,
    beyond: str = "zeros",
    mode: str = "bilinear",
) -> np.ndarray:
    """Maps ``(C, X, Y, Z)`` at fractional voxel positions ``(3, ...)``: ``(C, ...)``.

    `beyond` and `mode` are those of ``torch.nn.functional.grid_sample``.
    """
    import torch

    # grid_sample wants (z, y, x) order and coordinates in [-1, 1].
    sizes = np.array(maps.shape[1:], dtype=np.float32)[:, None, None, None]
    unit = (where * (2 / (sizes - 1)) - 1)[::-1]
    points = torch.from_numpy(np.ascontiguousarray(np.moveaxis(unit, 0, -1)))
    return torch.nn.functional.grid_sample(
        maps[None], points[None], mode, beyond, align_corners=True
    )[0].numpy()


def widened(atlas: Atlas, where: np.ndarray, ventricles: float) -> np.ndarray:
    """Voxel positions in the atlas of MNI coordinates, with the ventricles widened."""
    origin = atlas.origin[:, None, None, None]
    coarse = sample(atlas.push, (where - origin) / 3.0)
    return (where - ventricles * coarse - origin) / atlas.step


def sample_tissue(
    atlas: Atlas, where: np.ndarray, ventricles: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tissue fractions at MNI coordinates `where`, with the ventricles widened.

    Gray, white, fluid and brain, ``(X, Y, Z)`` float32 each; the first three sum to
    the last.
    """
    return tissue_at(atlas, widened(atlas, where, ventricles))


def tissue_at(
    atlas: Atlas, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Likewise, at voxel positions of the atlas."""
    gm, wm, brain = sample(atlas.maps, at)
    brain = np.clip(brain, 0, 1)
    total = np.maximum(gm + wm, 1e-6)
    tissue = np.minimum(total, brain)
    return gm / total * tissue, wm / total * tissue, brain - tissue, brain
