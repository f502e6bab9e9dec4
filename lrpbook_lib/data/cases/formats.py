"""File formats: read whole or refused in words. Nothing here knows a release."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

#: The way out for those who have DICOM.
CONVERT = "convert the series to NIfTI first, e.g. with dcm2niix"
_AGAIN = "fetch or copy it again"
_SAMPLE = 1 << 16


class UnreadableError(ValueError):
    """A file that cannot be read, with its name and what is wrong with it."""


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a file lie once they are read, as its header says."""

    shape: tuple[int, ...]  #: axes to the right, front and up; then the others
    affine: np.ndarray  #: ``(4, 4)``: voxel to scanner coordinates in mm
    codes: tuple[str, ...]  #: where the axes run in the file, ``("L", "P", "S")``
    whole: bool  #: whether the file stores whole numbers, and so no NaN

    @property
    def spacing(self) -> np.ndarray:
        """``(3,)`` edges of a voxel, mm."""
        return nib.affines.voxel_sizes(self.affine)


def to_ras(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn and flip axes so that they run to the right, to the front and up."""
    turns = nib.io_orientation(affine)
    turned = nib.apply_orientation(data, turns)
    return turned, affine @ nib.orientations.inv_ornt_aff(turns, data.shape)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a NIfTI file into one error that names it."""
    try:
        yield
    except (UnreadableError, FileNotFoundError):
        raise
    except nib.filebasedimages.ImageFileError as error:
        refuse_dicom(path)
        raise UnreadableError(f"{path} is no NIfTI file: {error}") from error
    except (OSError, zlib.error, EOFError, ValueError, TypeError) as error:
        text = str(error) or type(error).__name__
        if "incomplete or truncated" in text or "Expected" in text:
            text = f"it is cut short ({text}); {_AGAIN}"
        raise UnreadableError(f"{path} cannot be read: {text}") from error


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Data and affine of a NIfTI file in RAS orientation, in the file's own dtype.

    The file is decompressed at one go, twice as fast as in pieces; its checksum is
    verified on the way.
    """
    with _told(path):
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = _decompress(raw)
        image = nib.Nifti1Image.from_bytes(raw)
        return to_ras(np.asanyarray(image.dataobj), image.affine)


def _decompress(raw: bytes) -> bytes:
    # A gzip file ends with the size of its content. It may lie where a file is
    # cut short, so it is a hint for the buffer, within reason, and no more.
    announced = int.from_bytes(raw[-4:], "little")
    hint = announced if len(raw) <= announced < 1000 * len(raw) else 1 << 20
    content = zlib.decompress(raw, 31, hint)
    # More than one gzip member, as block compression writes: the slower way.
    return content if len(content) == announced else gzip.decompress(raw)


def nifti_grid(path: Path) -> Grid:
    """Grid of a NIfTI file, without reading its data; a file cut short is an error.

    A gzip file ends with the size of its content: a cut shows there.
    """
    with _told(path):
        image: Any = nib.load(path)
        shape, header = image.shape, image.header
        if len(shape) < 3:
            raise UnreadableError(f"{path} has {len(shape)} axes where 3 are expected")
        kind = header.get_data_dtype()
        need = image.dataobj.offset + kind.itemsize * int(np.prod(shape))
        size = path.stat().st_size
        if path.suffix.lower() == ".gz":
            with path.open("rb") as stream:
                stream.seek(-4, os.SEEK_END)
                size = int.from_bytes(stream.read(), "little")
            if size != need % 2**32:
                read_nifti(path)  # several gzip members are fine; a cut is not
        elif size < need:
            raise UnreadableError(
                f"{path} is cut short: {size} bytes of {need}; {_AGAIN}"
            )
    turns = nib.io_orientation(image.affine)
    return Grid(
        (*(shape[int(axis)] for axis in turns[:, 0].argsort()), *shape[3:]),
        image.affine @ nib.orientations.inv_ornt_aff(turns, shape[:3]),
        nib.aff2axcodes(image.affine),
        kind.kind != "f" and header.get_slope_inter()[0] in (None, 1.0),
    )


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


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by the mark that each has behind 128 free bytes."""
    try:
        with path.open("rb") as stream:
            stream.seek(128)
            return stream.read(4) == b"DICM"
    except OSError:
        return False


def refuse_dicom(path: Path) -> None:
    """Raise where a path is a DICOM file, or a folder of them."""
    inside = path.iterdir() if path.is_dir() else [path]
    if any(file.is_file() and is_dicom(file) for file in inside):
        raise UnreadableError(f"{path} is DICOM: {CONVERT}")


def file_mark(path: Path) -> str:
    """What two files of the same content share, at the price of one short read.

    A gzip file ends with checksum and size of its content, however well it was
    packed; of another file the middle is looked at.
    """
    size = path.stat().st_size
    packed = path.suffix.lower() == ".gz"
    with path.open("rb") as stream:
        stream.seek(max(size - 8, 0) if packed else max(size - _SAMPLE, 0) // 2)
        content = stream.read(8 if packed else _SAMPLE)
    if packed:
        return content.hex()
    return f"{size} {hashlib.blake2b(content, digest_size=8).hexdigest()}"
