"""Cases of a person's own: files named one by one instead of found by their names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from lrpbook_lib.data.cases.case import Case
from lrpbook_lib.data.cases.checking import check_case, refuse_dicom
from lrpbook_lib.data.cases.releases import OWN_FILES, OWN_HEADS
from lrpbook_lib.data.cases.volumes import read_nifti

#: A skull-stripped volume is zero in more than this share of its voxels.
_BACKGROUND = 0.2


def own_case(
    images: Mapping[str, str | os.PathLike[str]],
    mask: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> Case:
    """A case of NIfTI files on one grid, checked as the cases of a release are.

    Parameters
    ----------
    images
        Sequence name (``t1``, ``t1ce``, ``t2``, ``flair``) to file.
    mask
        Any label above zero is tumor.
    name
        Of the case; default the first image's file name without its ending.

    Returns
    -------
    Case
        Its release says whether the skull was stripped, as far as zeros around the
        head tell.

    Raises
    ------
    ValueError
        With everything that is wrong, a line each.
    """
    if not images:
        raise ValueError("images is empty: name at least one, such as t1=scan.nii.gz")
    paths = {key: Path(path).expanduser() for key, path in images.items()}
    if mask is not None:
        paths["seg"] = Path(mask).expanduser()
    for key, path in paths.items():
        refuse_dicom(path)
        if not path.is_file():
            raise FileNotFoundError(f"{key}: there is no file {path}")
    first = next(iter(paths.values()))
    name = name or first.name.removesuffix(".gz").removesuffix(".nii")
    if name != Path(name).name:
        raise ValueError(f"name={name!r} would be a path: give a plain name")
    case = Case(name, name, None, None, paths, OWN_FILES.name)
    troubles = check_case(case, thorough=True) or _apart(case)
    if troubles:
        raise ValueError("\n".join(f"{kind}: {detail}" for kind, detail in troubles))
    if np.mean(read_nifti(first)[0] == 0) < _BACKGROUND:
        case = Case(name, name, None, None, paths, OWN_HEADS.name)
    return case


def _apart(case: Case) -> list[tuple[str, str]]:
    """Trouble where the headers put the files of a case at different places.

    In the releases a mask's header is at times lost and the arrays fit all the same;
    of unknown files nothing of the kind is known.
    """
    headers: dict[str, Any] = {n: nib.load(path) for n, path in case.paths.items()}
    # As all are read: the same voxels in another order are at the same place.
    grids = {
        name: h.affine
        @ nib.orientations.inv_ornt_aff(nib.io_orientation(h.affine), h.shape[:3])
        for name, h in headers.items()
    }
    (one, affine), *others = grids.items()
    edge = float(nib.affines.voxel_sizes(affine).min())
    return [
        (
            "wrong place",
            f"{case.paths[name]} lies elsewhere in space than {case.paths[one]} "
            "(their affines differ): resample it to the grid of the other",
        )
        for name, other in others
        if not np.allclose(other, affine, atol=0.1 * edge)
    ]
