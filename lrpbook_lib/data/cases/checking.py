"""What may be wrong with the files of a case, found without reading all of them."""

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lrpbook_lib.data.cases.case import Case
from lrpbook_lib.data.cases.repeats import file_mark, voxel_mark
from lrpbook_lib.data.cases.volumes import (
    Kept,
    UnreadableError,
    read_nifti,
    read_picture,
    read_sequence,
    slice_files,
)

#: The way out for those who have DICOM.
CONVERT = "convert the series to NIfTI first, e.g. with dcm2niix"


def check_case(
    case: Case, thorough: bool = False, marks: set[str] | None = None
) -> list[tuple[str, str]]:
    """What is wrong with the files of a case: kind and detail, a pair each.

    Parameters
    ----------
    thorough
        Read every volume to its end.
    marks
        Receives what names the content of the files, see
        :mod:`lrpbook_lib.data.cases.repeats`.
    """
    troubles: list[tuple[str, str]] = []
    shapes: dict[str, tuple[int, ...]] = {}
    kept: Kept = {}
    for name, path in case.paths.items():
        try:
            if case.description.kind.startswith("nifti"):
                shapes[name], floats = check_header(path)
                _check_axes(case, name, shapes[name])
                read = thorough or name == "seg" or floats
            else:
                read = True
            if marks is not None and name != "seg":
                marks.add(file_mark(path))
            if read:
                data, _ = read_sequence(case, name, kept)
                shapes[name] = data.shape
                if marks is not None and name == "seg":
                    marks.add(voxel_mark(data))
                if not data.any():
                    kind = "empty mask" if name == "seg" else "empty sequence"
                    what = "marks no tumor" if name == "seg" else "is zero everywhere"
                    troubles.append((kind, f"{path} {what}"))
                if data.dtype.kind == "f" and not np.isfinite(data).all():
                    troubles.append(("NaN", f"{path} holds NaN or infinity"))
        except (UnreadableError, FileNotFoundError) as error:
            troubles.append(("unreadable file", str(error)))
        except ValueError as error:
            kind = "unknown labels" if name == "seg" else "unreadable file"
            troubles.append((kind, f"{path}: {error}"))
    if not troubles:
        troubles += [t for t in (_mask_turned(case), _spacings_differ(case)) if t]
    sizes = {name: shape[:3] for name, shape in shapes.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
        troubles.append(("wrong shape", f"volumes of {case.id} differ: {told}"))
    return troubles


def _check_axes(case: Case, name: str, shape: tuple[int, ...]) -> None:
    """Raise where a header tells other axes than reading the sequence needs."""
    channels = case.description.channels if name != "seg" else {}
    least = 1 + max(channels.values(), default=0)
    have = int(np.prod(shape[3:]))
    if len(shape) < 3 or have < least or (have > 1 and not channels):
        raise UnreadableError(
            f"{case.paths[name]} has shape {shape} where {least} volume(s) of three "
            "axes are expected"
        )


def _mask_turned(case: Case) -> tuple[str, str] | None:
    """Trouble where the mask's header turns it out of the brain.

    A mask saved without its header has other axes than its images, and would lie
    mirrored: silently, for its shape is right.
    """
    image = next((case.paths[n] for n in case.sequences), None)
    if not case.description.kind.startswith("nifti") or image is None:
        return None
    if "seg" not in case.paths:
        return None
    grids: list[Any] = [nib.load(p) for p in (image, case.paths["seg"])]
    if nib.aff2axcodes(grids[0].affine) == nib.aff2axcodes(grids[1].affine):
        return None
    seg = read_sequence(case, "seg")[0] > 0
    brain = read_sequence(case, case.sequences[0])[0] != 0
    if seg.shape != brain.shape or (seg & brain).sum() >= 0.95 * seg.sum():
        return None
    return (
        "mask turned",
        f"the axes of {case.paths['seg']} are not those of the images, and it lies "
        "outside the brain: copy the header of an image to it",
    )


def _spacings_differ(case: Case) -> tuple[str, str] | None:
    """Trouble where the headers of one case tell voxels of different sizes.

    Arrays of equal shape would be laid over each other though they cover different
    parts of the head.
    """
    if not case.description.kind.startswith("nifti"):
        return None
    sizes = {}
    for name, path in case.paths.items():
        image: Any = nib.load(path)
        order = nib.io_orientation(image.affine)[:, 0].argsort()
        edges = nib.affines.voxel_sizes(image.affine)[order]
        sizes[name] = tuple(round(float(e), 2) for e in edges)
    first = next(iter(sizes.values()))
    if all(np.allclose(size, first, rtol=0.02) for size in sizes.values()):
        return None
    told = ", ".join(f"{name} {size} mm" for name, size in sizes.items())
    return "wrong spacing", f"voxels of {case.id} differ in size: {told}"


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


def check_header(path: Path) -> tuple[tuple[int, ...], bool]:
    """Shape of a NIfTI file and whether it may hold NaN, without reading its data.

    A gzip file ends with the size of its content: a file cut short shows there.
    """
    try:
        image: Any = nib.load(path)
        shape, header = image.shape, image.header
        need = image.dataobj.offset + header.get_data_dtype().itemsize * int(
            np.prod(shape)
        )
        size = path.stat().st_size
        if path.suffix.lower() == ".gz":
            with path.open("rb") as stream:
                stream.seek(-4, os.SEEK_END)
                size = int.from_bytes(stream.read(), "little")
            if size != need % 2**32:
                read_nifti(path)  # several gzip members are fine; a cut is not
        elif size < need:
            raise UnreadableError(
                f"{path} is cut short: {size} bytes of {need}; fetch or copy it again"
            )
    except UnreadableError:
        raise
    except (OSError, EOFError, ValueError) as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from error
    except nib.filebasedimages.ImageFileError as error:
        refuse_dicom(path)
        raise UnreadableError(f"{path} is no NIfTI file: {error}") from error
    # The shape as it is after loading: the file's axes may be in any order.
    axes = nib.io_orientation(image.affine)[:, 0].argsort()
    shape = (*(shape[int(a)] for a in axes), *shape[3:])
    scaled = header.get_slope_inter()[0] not in (None, 1.0)
    return shape, bool(header.get_data_dtype().kind == "f" or scaled)


def copied_channels(case: Case) -> list[str]:
    """Contrasts a TCGA-LGG patient lacks: in their place the files repeat FLAIR."""
    pages = slice_files(case.paths["flair"])
    try:
        page = read_picture(pages[len(pages) // 2][0]) if pages else None
    except UnreadableError:
        return []  # the check of the files tells it
    if page is None or page.ndim != 3:
        return []
    channels = case.description.channels
    return [
        name
        for name in ("t1", "t1ce")
        if np.array_equal(page[..., channels[name]], page[..., channels["flair"]])
    ]
