"""Reading volumes: any file kind, one orientation, one label scheme, loud errors."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from scipy import ndimage

from lrpbook_lib.data.cases.releases import Release

if TYPE_CHECKING:
    from lrpbook_lib.data.cases.case import Case


#: Files of several sequences by path: data and affine of each.
Kept = dict[Path, tuple[np.ndarray, np.ndarray]]


class UnreadableError(ValueError):
    """A file that cannot be read, with its name and what is wrong with it."""


@dataclass(frozen=True)
class Volumes(Mapping[str, np.ndarray]):
    """The volumes of a case on one grid; ``volumes["t1"]`` and so on.

    Attributes
    ----------
    arrays
        Sequence name to ``(X, Y, Z)`` float32; ``seg`` uint8 in the scheme of
        :data:`~lrpbook_lib.data.cases.releases.LABELS`; ``brain`` bool. The axes run to
        the right, to the front and up (RAS).
    affine
        ``(4, 4)``: voxel to scanner coordinates in mm.
    """

    arrays: dict[str, np.ndarray]
    affine: np.ndarray

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edges of a voxel, mm."""
        x, y, z = nib.affines.voxel_sizes(self.affine)
        return float(x), float(y), float(z)


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Data and affine of a NIfTI file in RAS orientation, in the file's own dtype.

    The file is decompressed at one go, twice as fast as in pieces; its checksum is
    verified on the way.
    """
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = _decompress(raw)
        image = nib.Nifti1Image.from_bytes(raw)
        data = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        raise
    except (OSError, zlib.error, EOFError, ValueError, TypeError) as error:
        raise UnreadableError(f"{path} cannot be read: {_reason(error)}") from error
    except nib.filebasedimages.ImageFileError as error:
        raise UnreadableError(f"{path} is no NIfTI file: {error}") from error
    return to_ras(data, image.affine)


def _reason(error: Exception) -> str:
    text = str(error)
    if "incomplete or truncated" in text or "Expected" in text:
        return f"it is cut short ({text}); fetch or copy it again"
    return text or type(error).__name__


def _decompress(raw: bytes) -> bytes:
    # A gzip file ends with the size of its content. It may lie where a file is
    # cut short, so it is a hint for the buffer, within reason, and no more.
    announced = int.from_bytes(raw[-4:], "little")
    hint = announced if len(raw) <= announced < 1000 * len(raw) else 1 << 20
    content = zlib.decompress(raw, 31, hint)
    # More than one gzip member, as block compression writes: the slower way.
    return content if len(content) == announced else gzip.decompress(raw)


def to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn and flip axes so that they run to the right, to the front and up."""
    turns = nib.io_orientation(affine)
    turned = nib.apply_orientation(data, turns)
    return turned, affine @ nib.orientations.inv_ornt_aff(turns, data.shape)


def map_labels(mask: np.ndarray, release: Release) -> np.ndarray:
    """Bring a release's label values into the one scheme.

    Raises
    ------
    ValueError
        Naming the values the release does not define.
    """
    low, high = mask.min(initial=0), mask.max(initial=0)
    # Decimals, negative or large values fit no byte, and no release either.
    whole = mask.dtype.kind in "iub" or (
        np.isfinite(mask).all() and (mask == np.round(mask)).all()
    )
    mapped = None
    if whole and low >= 0 and high < 256:
        table = np.full(256, 255, dtype=np.uint8)
        for source, target in release.labels.items():
            table[source] = target
        mapped = table[mask.astype(np.uint8, copy=False)]
    if mapped is None or mapped.max(initial=0) == 255:
        unknown = [v for v in np.unique(mask).tolist() if v not in release.labels]
        raise ValueError(
            f"labels {unknown[:8]} are unknown to {release.name}, which has "
            f"{sorted(release.labels)}"
        )
    return mapped


def read_sequence(
    case: "Case", name: str, kept: Kept | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """One volume of a case in RAS, in the file's dtype, and its affine.

    The mask ``seg`` comes in the one label scheme. Pass the same dictionary `kept`
    for all sequences of a case: a file that holds several is decompressed once.
    """
    if name not in case.paths:
        raise KeyError(
            f"case {case.id} ({case.release}) has no {name!r}; it has "
            f"{', '.join(case.paths)}"
        )
    path, release = case.paths[name], case.description
    if release.kind == "nifti4d" and name != "seg":
        kept = {} if kept is None else kept
        if path not in kept:
            kept[path] = read_nifti(path)
        data, affine = _take(kept[path], path, name, release)
    else:
        data, affine = _READ[release.kind](path, name, release)
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]  # some writers add an axis of time
    if data.ndim != 3:
        raise UnreadableError(f"{path} holds {data.ndim} axes where 3 are expected")
    return (map_labels(data, release), affine) if name == "seg" else (data, affine)


def _read_plain(path: Path, name: str, release: Release):
    return read_nifti(path)


def _take(
    whole: tuple[np.ndarray, np.ndarray], path: Path, name: str, release: Release
) -> tuple[np.ndarray, np.ndarray]:
    data, affine = whole
    if data.ndim != 4 or data.shape[3] <= release.channels[name]:
        raise UnreadableError(
            f"{path} has shape {data.shape}; {release.name} keeps {name} at position "
            f"{release.channels[name]} of a fourth axis"
        )
    return data[..., release.channels[name]], affine


def slice_files(folder: Path, case: str | None = None) -> list[tuple[Path, Path]]:
    """Image and mask of each slice of a TCGA-LGG folder, in the order of the slices."""
    images = [p for p in folder.iterdir() if p.suffix.lower() in (".tif", ".tiff")]
    plain = [p for p in images if not p.stem.endswith("_mask") and p.name[0] != "."]
    plain.sort(key=lambda p: int(p.stem.rsplit("_", 1)[1]))
    return [(p, p.with_name(f"{p.stem}_mask{p.suffix}")) for p in plain]


def read_picture(path: Path) -> np.ndarray:
    """A picture file as an array, or an error that names it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except FileNotFoundError:
        raise
    except (OSError, UnidentifiedImageError, ValueError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error


def _read_tif(path: Path, name: str, release: Release):
    channel = release.channels.get(name)
    slices = []
    for image, mask in slice_files(path):
        page = read_picture(mask if channel is None else image)
        slices.append(page if channel is None else page[..., channel])
    # Rows run from front to back and columns from the right to the left, as on
    # screen; the files say nothing of the spacing, so it is counted as 1 mm.
    volume = np.stack([s[::-1, ::-1].T for s in slices], axis=2)
    return volume, np.eye(4)


def _read_mat(path: Path, name: str, release: Release):
    import h5py

    try:
        with h5py.File(path, "r") as file:
            data = file["cjdata"]["tumorMask" if name == "seg" else "image"][:]
    except (OSError, KeyError) as error:
        raise UnreadableError(f"{path} is no cjdata file: {error}") from error
    # MATLAB stores columns first, so the axes are already columns and rows.
    return data[::-1, ::-1, None], np.eye(4)


_READ: dict[str, Any] = {
    "nifti": _read_plain,
    "nifti4d": _read_plain,
    "tif": _read_tif,
    "mat": _read_mat,
}


def brain_mask(images: list[np.ndarray], stripped: bool) -> np.ndarray:
    """Where the brain is: what is not zero, or what stands out from the background.

    Parameters
    ----------
    images
        ``(X, Y, Z)`` each, on one grid.
    stripped
        Whether everything outside the brain is zero. Otherwise the mask is the
        largest piece above half of Otsu's threshold: the head, skull included.
    """
    if stripped:
        mask = images[0] != 0
        for image in images[1:]:
            mask = mask | (image != 0)
        return mask
    mean = np.mean([_apart_from_background(i) for i in images], axis=0)
    mask = mean > 0.5 * _otsu(mean)
    pieces, count = ndimage.label(mask)
    if count > 1:
        mask = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return fill_slices(mask)


def _apart_from_background(image: np.ndarray) -> np.ndarray:
    """How far intensities lie from those at the border, from 0 to 1.

    The background of most images is black; of a map with negative values, e.g., it is
    gray.
    """
    border = [image[[0, -1]].ravel(), image[:, [0, -1]].ravel()]
    away = np.abs(image.astype(np.float32) - np.median(np.concatenate(border)))
    return away / max(float(away.max()), 1e-6)


def fill_slices(mask: np.ndarray) -> np.ndarray:
    """Fill the holes of every axial slice of ``(X, Y, Z)``."""
    filled = [ndimage.binary_fill_holes(mask[..., z]) for z in range(mask.shape[2])]
    return np.stack(filled, axis=2)


def _otsu(image: np.ndarray) -> float:
    counts, edges = np.histogram(image, bins=128)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / below[-1] - sums) ** 2 / (
            below * (below[-1] - below)
        )
    return float(middle[np.nanargmax(between[:-1])])


def resample(volumes: Volumes, spacing: float) -> Volumes:
    """Bring volumes to cubic voxels of `spacing` mm through torchio.

    Images are interpolated linearly, masks take their nearest neighbor.
    """
    if np.allclose(volumes.spacing, spacing, rtol=0.01):
        return volumes
    moved = to_subject(volumes, resample_to=spacing)
    arrays = {}
    for name, array in volumes.arrays.items():
        data = moved[name].numpy()[0]
        arrays[name] = data.astype(array.dtype, copy=False)
    return Volumes(arrays, moved["seg" if "seg" in volumes else name].affine)


def to_subject(volumes: Volumes, resample_to: float | None = None) -> Any:
    """The volumes as a torchio subject, for its transforms."""
    import torch
    import torchio as tio

    images = {}
    for name, array in volumes.arrays.items():
        discrete = name in ("seg", "brain")
        kind = tio.LabelMap if discrete else tio.ScalarImage
        data = np.ascontiguousarray(array[None].astype("u1" if discrete else "f4"))
        images[name] = kind(tensor=torch.from_numpy(data), affine=volumes.affine)
    subject = tio.Subject(**images)
    return tio.Resample(resample_to)(subject) if resample_to else subject
