"""What a release is: one object that recognizes its files, and reads and means them.

To support another release, add a row to :mod:`~lrpbook_lib.data.cases.releases`; one
that keeps its files in another way derives a class. Nothing else asks which release a
case is of.

Labels of masks are mapped to one scheme: 1 necrosis and non-enhancing core, 2 edema,
4 enhancing tumor, and 5 tumor whose region is not told.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lrpbook_lib.data.cases.case import MASK, Case
from lrpbook_lib.data.cases.formats import Grid, UnreadableError, nifti_grid, read_nifti
from lrpbook_lib.data.cases.tables import Table
from lrpbook_lib.data.cases.volumes import brain_mask

#: Meaning of the label values of every loaded mask.
LABELS = {
    0: "no tumor",
    1: "necrosis and non-enhancing core",
    2: "edema",
    4: "enhancing tumor",
    5: "tumor, region not told",
}
#: The grades of gliomas; a grade's place here is its label.
CLASSES = ("LGG", "HGG")
#: Ending of a NIfTI file, in a regular expression.
NII = r"\.nii(?:\.gz)?$"
#: What stands in a file name for a channel, in order of preference.
_TOKENS = {
    "t1": ("t1", "t1n", "t1w", "t1_bias"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1_gd", "t1c_bias"),
    "t2": ("t2", "t2w", "t2_bias"),
    "flair": ("flair", "t2f", "fla", "flair_bias"),
    MASK: (
        "seg",
        "segm",
        "tumor_segmentation",
        "glistrboost_manuallycorrected",
        "automated_approx_segm",
        "glistrboost",
    ),
}


def channel_of(token: str) -> dict[str, int]:
    """Channel a token stands for, and its rank (lower is preferred), if it does."""
    token = token.lower()
    return {c: names.index(token) for c, names in _TOKENS.items() if token in names}


def sequence_in(name: str) -> str | None:
    """Channel that the last word of a file name stands for, if it does."""
    match = re.search(r"(?:^|[_\-. ])([A-Za-z0-9]+?)" + NII, name, re.IGNORECASE)
    return next(iter(channel_of(match[1])), None) if match else None


@dataclass(frozen=True)
class Reader:
    """How the cases of one release are recognized, read and labeled.

    As it stands, for a NIfTI file a channel; other kinds of files derive a class.
    """

    name: str  #: what people call the release
    #: Regular expression for a file's path below the root, with ``/`` between folders;
    #: case does not matter. Its group ``case`` is the case id, ``token`` what names the
    #: channel, and ``site``, where there is one, the site.
    file: str
    #: The images every case has; of several in a file, in their order there.
    channels: tuple[str, ...] = ("t1", "t1ce", "t2", "flair")
    #: Without which a case is not used; default all channels and the mask.
    needs: tuple[str, ...] | None = None
    #: Value in the mask's file to value in :data:`LABELS`; another is a problem.
    labels: Mapping[int, int] = field(default_factory=lambda: {0: 0, 1: 1, 2: 2, 4: 4})
    patient: str = r"(.+)"  #: expression whose group in the case id names the patient
    site: str | None = None  #: of all cases, for releases from one place
    label: str = "grade"  #: which fact of a case is its class
    classes: tuple[str, ...] = CLASSES  #: values of that fact, for the labels 0, 1, ...
    #: Of all cases, where the release is defined by them.
    facts: Mapping[str, Any] = field(default_factory=dict)
    #: Name of a folder above a case to the label that it tells.
    folders: Mapping[str, str] = field(default_factory=dict)
    inside_names: bool = False  #: whether that may stand among other words in a name
    stripped: bool = True  #: whether everything outside the brain is zero
    tables: tuple[Table, ...] = ()  #: which tables say something of the patients

    #: Whether files are NIfTI, so that a map can be written on their grid.
    writes_nifti: ClassVar[bool] = True
    #: Whether a folder is one case's own: a single file of unknown name is its mask.
    own_folder: ClassVar[bool] = True
    #: Whether headers are relied on to tell the place of a volume.
    placed: ClassVar[bool] = False

    def holds(self, token: str) -> Mapping[str, int]:
        """Channels in a file whose name has this token, each with its rank.

        Of several files for a channel the lowest rank is used.
        """
        return channel_of(token)

    def place(self, file: Path) -> Path:
        """What a case's path names: the file, or the folder of its slices."""
        return file

    def revise(self, case: Case) -> tuple[Case, list[tuple[str, str, bool]]]:
        """A case as its files' content tells it, and what is wrong with them.

        A trouble is its kind, its detail, and whether the case is lost by it.
        """
        return case, []

    def sample(self, path: Path) -> Path | None:
        """A file that gives a volume away where it comes under another name."""
        return path

    def volumes_in(self, name: str) -> int:
        """How many volumes the file of a channel holds."""
        return 1

    def grid(self, path: Path, name: str) -> Grid | None:
        """Where a header puts a volume; ``None`` for files that are not NIfTI."""
        if not self.writes_nifti:
            return None
        grid = nifti_grid(path)
        have, want = int(np.prod(grid.shape[3:])), self.volumes_in(name)
        if have < want or have > want == 1:
            raise UnreadableError(
                f"{path} has shape {grid.shape} where {want} volume(s) of three axes "
                "are expected"
            )
        return grid

    def whole(self, path: Path) -> Any:
        """All that a path holds."""
        return read_nifti(path)

    def part(self, whole: Any, path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
        """One volume of it, axes to the right, front and up, and its affine."""
        return whole

    def region(self, images: list[np.ndarray]) -> np.ndarray:
        """Where the patient is: the brain, or the head where the skull is on."""
        return brain_mask(images, self.stripped)

    def opened(self, case: Case) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
        """What :meth:`Case.open` returns."""
        last: list[Any] = [None, None]

        def volume(name: str) -> tuple[np.ndarray, np.ndarray]:
            if name not in case.paths:
                raise KeyError(
                    f"case {case.id} ({self.name}) has no {name!r}; it has "
                    f"{', '.join(case.paths)}"
                )
            path = case.paths[name]
            if last[0] != path:
                last[:] = None, None  # one file at a time in memory
                last[:] = path, self.whole(path)
            data, affine = self.part(last[1], path, name)
            while data.ndim > 3 and data.shape[-1] == 1:
                data = data[..., 0]  # some writers add an axis of time
            if data.ndim != 3:
                raise UnreadableError(
                    f"{path} holds {data.ndim} axes where 3 are expected"
                )
            return (self.map_labels(data) if name == MASK else data), affine

        return volume

    def map_labels(self, mask: np.ndarray) -> np.ndarray:
        """Bring the release's label values into the one scheme.

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
            for source, target in self.labels.items():
                table[source] = target
            mapped = table[mask.astype(np.uint8, copy=False)]
        if mapped is None or mapped.max(initial=0) == 255:
            unknown = [v for v in np.unique(mask).tolist() if v not in self.labels]
            raise ValueError(
                f"labels {unknown[:8]} are unknown to {self.name}, which has "
                f"{sorted(self.labels)}"
            )
        return mapped


@dataclass(frozen=True)
class Stacks(Reader):
    """A NIfTI file a case, its channels along the fourth axis, and one for the mask."""

    own_folder: ClassVar[bool] = False

    def holds(self, token: str) -> Mapping[str, int]:
        """By the folder's name."""
        is_mask = token.lower().startswith("labels")
        return dict.fromkeys((MASK,) if is_mask else self.channels, 0)

    def volumes_in(self, name: str) -> int:
        """All channels of the case."""
        return 1 if name == MASK else len(self.channels)

    def part(self, whole: Any, path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The mask, or a channel by its position."""
        data, affine = whole
        if name == MASK:
            return data, affine
        at = self.channels.index(name)
        if data.ndim != 4 or data.shape[3] <= at:
            raise UnreadableError(
                f"{path} has shape {data.shape}; {self.name} keeps {name} at position "
                f"{at} of a fourth axis"
            )
        return data[..., at], affine
