"""Cases of a person's own: files named one by one instead of found by their names."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from lrpbook_lib.data.cases.case import MASK, Case
from lrpbook_lib.data.cases.checking import check_case
from lrpbook_lib.data.cases.formats import refuse_dicom
from lrpbook_lib.data.cases.readers import Reader

#: A skull-stripped volume is zero in more than this share of its voxels.
_BACKGROUND = 0.2


@dataclass(frozen=True)
class OwnFiles(Reader):
    """Of unknown origin: nothing is found as these, and headers are held to."""

    name: str = "own files"
    file: str = r"(?!)"
    # Any label above zero is tumor.
    labels: Mapping[int, int] = field(
        default_factory=lambda: {0: 0, **dict.fromkeys(range(1, 255), 5)}
    )
    placed: ClassVar[bool] = True


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
        Its reader says whether the skull was stripped, as far as zeros around the
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
        paths[MASK] = Path(mask).expanduser()
    for key, path in paths.items():
        refuse_dicom(path)
        if not path.is_file():
            raise FileNotFoundError(f"{key}: there is no file {path}")
    first = next(iter(paths.values()))
    name = name or first.name.removesuffix(".gz").removesuffix(".nii")
    if name != Path(name).name:
        raise ValueError(f"name={name!r} would be a path: give a plain name")
    case = Case(name, name, None, paths, OwnFiles())
    if troubles := check_case(case, thorough=True):
        raise ValueError("\n".join(f"{kind}: {detail}" for kind, detail in troubles))
    if np.mean(case.open()(case.sequences[0])[0] == 0) < _BACKGROUND:
        heads = OwnFiles("own files, skull on", stripped=False)
        case = replace(case, reader=heads)
    return case
