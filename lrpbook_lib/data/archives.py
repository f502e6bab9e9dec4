"""Real slices that come in one file: parts of Cheng's and of the TCGA-LGG set.

Neither shows a skull-stripped brain: the region ``brain`` of these slices is the head.
"""

import os
import zipfile
from pathlib import Path

import numpy as np

from lrpbook_lib.data.places import data_home
from lrpbook_lib.data.sliceset import SliceSet
from lrpbook_lib.data.volumes import brain_mask, fill_slices

CHENG_CLASSES = ("glioma", "meningioma", "pituitary")
WHO_CLASSES = ("WHO II", "WHO III")


def cheng_slices(path: str | os.PathLike[str] | None = None) -> SliceSet:
    """Half of Cheng's slices: three tumor types in T1 with contrast agent.

    Cheng et al. 2015 (``cheng2015``). The names of the patients are not in the file.
    Neighbors in the original order are mostly one patient, so that ``patient`` names
    what stands in for one: a block of consecutive slices of one type. Splits by it keep
    neighbors together; a patient at the seam of two types is of one type only.

    Parameters
    ----------
    path
        ``cheng_128.npz``; default below :func:`~lrpbook_lib.data.data_home`.

    Returns
    -------
    SliceSet
        One channel, ``t1ce``, from 0 to 1; labels by :data:`CHENG_CLASSES`; ``z`` is
        the position in the original.
    """
    file = _file(path, "cheng/cheng_128.npz")
    images, masks, labels, index = _read(file, "images", "masks", "labels", "index")
    _agree(file, images=images, masks=masks, labels=labels, index=index)
    # A block ends where positions jump, or where another type begins.
    new = np.diff(index, prepend=index[0] - 2) != 1
    new |= np.diff(labels.astype(int), prepend=labels[0]) != 0
    block = np.cumsum(new) - 1
    names = np.array([f"block {b:03d}" for b in block])
    scaled, head = _scaled(images[:, None])
    return SliceSet.from_arrays(
        scaled,
        labels,
        _masks(file, masks),
        head,
        names.tolist(),
        z=index,
        sequences=("t1ce",),
        classes=CHENG_CLASSES,
    )


def tcga_lgg_slices(path: str | os.PathLike[str] | None = None) -> SliceSet:
    """Slices with tumor of 40 patients with lower-grade gliomas, WHO II or III.

    Buda et al. 2019 (``buda2019``). Some patients lack a contrast, and their files
    repeat FLAIR in its place: ``report()`` names them, with ``dropped`` false.

    Parameters
    ----------
    path
        ``tcga_lgg_128.npz``; default below :func:`~lrpbook_lib.data.data_home`.

    Returns
    -------
    SliceSet
        Channels ``t1``, ``flair`` and ``t1ce`` from 0 to 1; labels by
        :data:`WHO_CLASSES`; ``site`` is the code inside the patient's name.
    """
    file = _file(path, "tcga_lgg/tcga_lgg_128.npz")
    images, masks, patient, grade, z = _read(
        file, "images", "masks", "patient", "who_grade", "slice_index"
    )
    _agree(file, images=images, masks=masks, patient=patient, who_grade=grade)
    names = [name.replace("_", "-") for name in patient.tolist()]
    scaled, head = _scaled(images)
    slices = SliceSet.from_arrays(
        scaled,
        grade.astype(int) - 2,
        _masks(file, masks),
        head,
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


def _file(path: str | os.PathLike[str] | None, usual: str) -> Path:
    home = data_home()
    if path is None and home is None:
        raise FileNotFoundError(
            f"there is no real data here: name the path of {Path(usual).name}, or set "
            "LRPBOOK_DATA"
        )
    file = Path(path).expanduser() if path is not None else Path(home or "") / usual
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    return file


def _read(file: Path, *names: str) -> list[np.ndarray]:
    try:
        with np.load(file) as arrays:
            lacking = [name for name in names if name not in arrays.files]
            found = [arrays[name] for name in names if name in arrays.files]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} cannot be read: {error}; copy it again") from None
    if lacking:
        raise ValueError(f"{file} holds no {', '.join(lacking)}: it is another file")
    return found


def _agree(file: Path, **arrays: np.ndarray) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the arrays of {file} differ in length: {lengths}")


def _masks(file: Path, masks: np.ndarray) -> np.ndarray:
    """Label 5, tumor whose region is not told, as for these sets on disk."""
    if unknown := sorted(set(np.unique(masks).tolist()) - {0, 1}):
        raise ValueError(f"{file}: masks hold {unknown}, not only 0 and 1")
    return masks * np.uint8(5)


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
