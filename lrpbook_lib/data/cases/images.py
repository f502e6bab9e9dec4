"""Releases that come as slices: TCGA-LGG in pictures, Cheng's set in MATLAB files."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lrpbook_lib.data.cases.case import MASK, Case
from lrpbook_lib.data.cases.formats import UnreadableError, read_picture
from lrpbook_lib.data.cases.readers import Reader
from lrpbook_lib.data.cases.tables import TCGA_LGG_DATA, Table

#: The files say nothing of the spacing: it is counted as 1 mm.
_UNTOLD = np.eye(4)


def _pages(folder: Path) -> list[Path]:
    """The images of a folder, in the order of the slices."""
    images = [p for p in folder.iterdir() if p.suffix.lower() in (".tif", ".tiff")]
    plain = [p for p in images if not p.stem.endswith("_mask") and p.name[0] != "."]
    return sorted(plain, key=lambda p: int(p.stem.rsplit("_", 1)[1]))


@dataclass(frozen=True)
class TcgaLgg(Reader):
    """A folder a case: a picture of three channels a slice, and one for its mask."""

    channels: tuple[str, ...] = ("t1", "flair", "t1ce")
    needs: tuple[str, ...] | None = (MASK,)
    labels: Mapping[int, int] = field(default_factory=lambda: {0: 0, 255: 5, 1: 5})
    patient: str = r"(TCGA_\w\w_\w{4})"
    stripped: bool = False
    tables: tuple[Table, ...] = (TCGA_LGG_DATA,)

    writes_nifti: ClassVar[bool] = False

    def holds(self, token: str) -> Mapping[str, int]:
        """Everything: a case's path names its folder."""
        return dict.fromkeys((*self.channels, MASK), 0)

    def place(self, file: Path) -> Path:
        """The folder."""
        return file.parent

    def sample(self, path: Path) -> Path | None:
        """The picture in the middle."""
        pages = _pages(path)
        return pages[len(pages) // 2] if pages else None

    def revise(self, case: Case) -> tuple[Case, list[tuple[str, str, bool]]]:
        """Leave out contrasts that a patient lacks: the files repeat FLAIR there."""
        middle = self.sample(case.paths["flair"])
        try:
            page = read_picture(middle) if middle else np.zeros(0)
        except UnreadableError:
            return case, []  # the check of the files tells it
        if page.ndim != 3:
            return case, []
        shown = dict(zip(self.channels, np.moveaxis(page, 2, 0), strict=False))
        copied = [
            name
            for name in ("t1", "t1ce")
            if np.array_equal(shown[name], shown["flair"])
        ]
        paths = {name: p for name, p in case.paths.items() if name not in copied}
        return replace(case, paths=paths), [
            ("copied sequence", f"{name} repeats flair and is left out", False)
            for name in copied
        ]

    def whole(self, path: Path) -> Any:
        """The images and the masks, ``(S, H, W, 3)`` and ``(S, H, W)``."""
        pages = _pages(path)
        masks = [p.with_name(f"{p.stem}_mask{p.suffix}") for p in pages]
        return [np.stack([read_picture(p) for p in part]) for part in (pages, masks)]

    def part(self, whole: Any, path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The masks, or a channel of the images."""
        images, masks = whole
        if images.ndim != 4 or images.shape[3] != len(self.channels):
            raise UnreadableError(f"{path} holds no pictures of three channels")
        shown = masks if name == MASK else images[..., self.channels.index(name)]
        # Rows run from front to back and columns from the right to the left.
        turned = shown[:, ::-1, ::-1].transpose(2, 1, 0)
        return np.ascontiguousarray(turned), _UNTOLD


@dataclass(frozen=True)
class Cheng(Reader):
    """A MATLAB 7.3 file a slice, with its mask, the patient and the diagnosis."""

    channels: tuple[str, ...] = ("t1ce",)
    labels: Mapping[int, int] = field(default_factory=lambda: {0: 0, 1: 5})
    label: str = "diagnosis"
    classes: tuple[str, ...] = ("glioma", "meningioma", "pituitary")
    stripped: bool = False

    writes_nifti: ClassVar[bool] = False

    def holds(self, token: str) -> Mapping[str, int]:
        """Everything."""
        return {"t1ce": 0, MASK: 0}

    def revise(self, case: Case) -> tuple[Case, list[tuple[str, str, bool]]]:
        """Patient and diagnosis stand in the file."""
        try:
            pid, label = map(np.ravel, _cjdata(case.paths["t1ce"], "PID", "label"))
            patient = "".join(chr(int(letter)) for letter in pid)
            told = {1: "meningioma", 2: "glioma", 3: "pituitary"}.get(int(label[0]))
        except (ValueError, IndexError) as error:
            return case, [("unreadable file", str(error), True)]
        facts = {"diagnosis": told} if told else {}
        return replace(case, patient=patient, facts=facts), []

    def whole(self, path: Path) -> Any:
        """The slice and its mask."""
        return _cjdata(path, "image", "tumorMask")

    def part(self, whole: Any, path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Either. MATLAB stores columns first: the axes are columns and rows."""
        return whole[name == MASK][::-1, ::-1, None], _UNTOLD


def _cjdata(path: Path, *names: str) -> list[np.ndarray]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return [file["cjdata"][name][:] for name in names]
    except (OSError, KeyError) as error:
        raise UnreadableError(f"{path} is no cjdata file: {error}") from error
