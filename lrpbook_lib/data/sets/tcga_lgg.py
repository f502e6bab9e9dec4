"""Slices of the TCGA-LGG set in one file: real lower-grade gliomas, WHO II and III."""

import os
import zipfile
from pathlib import Path

import numpy as np

from lrpbook_lib.data.cases.volumes import brain_mask, fill_slices
from lrpbook_lib.data.samples import SliceSet
from lrpbook_lib.data.sets.cheng import shrink
from lrpbook_lib.places import data_home

_ARRAYS = ("images", "masks", "patient", "who_grade", "slice_index")
WHO_CLASSES = ("WHO II", "WHO III")


def tcga_lgg_slices(
    path: str | os.PathLike[str] | None = None, size: int | None = None
) -> SliceSet:
    """Slices with tumor of patients with lower-grade gliomas, WHO II or III.

    Buda et al. 2019 (``buda2019``). Some patients lack a contrast, and their files
    repeat FLAIR in its place: ``report()`` names them, with ``dropped`` false. The
    skull is on: ``brain`` is the head.

    Parameters
    ----------
    path
        ``tcga_lgg_128.npz``; default below :func:`~lrpbook_lib.data.data_home`.
    size
        Height and width, those of the file divided by a whole number; default as they
        are.

    Returns
    -------
    SliceSet
        Channels ``t1``, ``flair`` and ``t1ce`` from 0 to 1; labels by
        WHO II, WHO III; ``site`` is the code inside the patient's name.
    """
    file = _file(path)
    images, masks, patient, grade, z = _read(file)
    names = [name.replace("_", "-") for name in patient.tolist()]
    scaled, head = _scaled(images)
    inside = shrink((masks > 0).astype(np.float32), size) >= 0.5
    slices = SliceSet.from_arrays(
        shrink(scaled, size),
        grade.astype(int) - 2,
        # Tumor whose region is not told, as for this set on disk.
        inside * np.uint8(5),
        shrink(head.astype(np.float32), size) >= 0.5,
        names,
        [name.split("-")[1] for name in names],
        z,
        sequences=("t1", "flair", "t1ce"),
        classes=WHO_CLASSES,
    )
    slices.problems.extend(
        {
            "case": name,
            "release": "TCGA-LGG",
            "kind": "copied sequence",
            "detail": f"{', '.join(lacking)} repeats flair",
            "dropped": False,
        }
        for name in sorted(set(names))
        if (lacking := _copied(images[np.array(names) == name]))
    )
    return slices


def _copied(images: np.ndarray) -> list[str]:
    """Channels of a patient, ``(S, 3, H, W)``, that repeat the second one."""
    places = {"t1": 0, "t1ce": 2}
    return [n for n, c in places.items() if (images[:, c] == images[:, 1]).all()]


def _file(path: str | os.PathLike[str] | None) -> Path:
    if path is not None:
        return Path(path).expanduser()
    home = data_home()
    found = home / "tcga_lgg" / "tcga_lgg_128.npz" if home else None
    if found is None or not found.is_file():
        raise FileNotFoundError(
            "the slices of TCGA-LGG are not on this machine: let LRPBOOK_DATA name the "
            "folder above tcga_lgg/tcga_lgg_128.npz"
        )
    return found


def _read(file: Path) -> list[np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            lacking = [name for name in _ARRAYS if name not in arrays.files]
            found = [arrays[name] for name in _ARRAYS if name in arrays.files]
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read: {error}; copy it again") from None
    if lacking:
        raise ValueError(f"{file} holds no {', '.join(lacking)}: it is another file")
    return found


def _scaled(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slices from 0 to 1 by their 1st to 99th percentile in the head, and the head.

    Whole volumes are not there, so that each slice is its own measure.

    Parameters
    ----------
    images
        ``(N, C, H, W)``.
    """
    scaled = np.zeros(images.shape, np.float32)
    head = np.zeros((len(images), *images.shape[2:]), bool)
    for i, image in enumerate(images.astype(np.float32)):
        inside = brain_mask([c[..., None] for c in image], stripped=False)
        head[i] = fill_slices(inside)[..., 0]
        for c, channel in enumerate(image):
            low, high = np.percentile(channel[head[i]], (1, 99))
            scaled[i, c] = np.clip((channel - low) / max(high - low, 1e-6), 0, 1)
        scaled[i] *= head[i]
    return scaled, head
