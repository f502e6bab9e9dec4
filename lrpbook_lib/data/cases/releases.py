"""Every supported release as one row of a table: how its files are named and meant.

To support another release, add a row. Nothing else branches on a release's name.

Labels are mapped to one scheme: 1 necrosis and non-enhancing core, 2 edema,
4 enhancing tumor, and 5 tumor whose region is not told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

#: Meaning of the label values of every loaded mask.
LABELS = {
    0: "no tumor",
    1: "necrosis and non-enhancing core",
    2: "edema",
    4: "enhancing tumor",
    5: "tumor, region not told",
}
SEQUENCES = ("t1", "t1ce", "t2", "flair")

_BRATS = {0: 0, 1: 1, 2: 2, 4: 4}
_ALL = (*SEQUENCES, "seg")
#: What stands in a file name for a sequence, in order of preference.
_TOKENS = {
    "t1": ("t1", "t1n", "t1w", "t1_bias"),
    "t1ce": ("t1ce", "t1c", "t1gd", "t1_gd", "t1c_bias"),
    "t2": ("t2", "t2w", "t2_bias"),
    "flair": ("flair", "t2f", "fla", "flair_bias"),
    "seg": (
        "seg",
        "segm",
        "tumor_segmentation",
        "glistrboost_manuallycorrected",
        "automated_approx_segm",
        "glistrboost",
    ),
}


@dataclass(frozen=True)
class Release:
    """How one release is recognized and read.

    Attributes
    ----------
    name
        What people call it.
    file
        Regular expression for a file's path below the root, with ``/`` between
        folders; case does not matter. Its group ``case`` is the case id, ``token``
        what names the sequence, and ``site``, where there is one, the site.
    kind
        How files are read: ``nifti`` (a file a sequence), ``nifti4d`` (a file a
        case, sequences along the fourth axis), ``tif`` (a file a slice), ``mat``.
    labels
        Value in the file to value in :data:`LABELS`; another value is a problem.
    expects
        Sequences every case has.
    channels
        Sequence to position, for the kinds that hold several in a file.
    patient
        Regular expression; its first group in the case id names the patient.
    site
        Site of all cases, for releases from one place.
    grade_folder
        How the folders above a case tell its grade: ``exact`` where one is called
        HGG or LGG, ``words`` where its name contains the word (GBM for HGG).
    grade
        Grade of all cases, where the release is defined by it.
    stripped
        Whether everything outside the brain is zero.
    """

    name: str
    file: str
    kind: str = "nifti"
    labels: Mapping[int, int] = field(default_factory=lambda: _BRATS)
    expects: tuple[str, ...] = _ALL
    channels: Mapping[str, int] = field(default_factory=dict)
    patient: str = r"(.+)"
    site: str | None = None
    grade_folder: str = ""
    grade: str | None = None
    stripped: bool = True

    def match(self, relative: str) -> re.Match[str] | None:
        """The match of a path below the root, or ``None``."""
        return re.search(self.file, relative, re.IGNORECASE)


_NII = r"\.nii(?:\.gz)?$"
_BY_SITE = r"_(?P<site>[A-Za-z]+\d*|\d{4})_[A-Za-z0-9]+_\d+)_(?P<token>\w+)" + _NII

RELEASES: tuple[Release, ...] = (
    Release(
        "Phantom",
        r"(?:^|/)(?P<case>Phantom_(?P<site>[A-Z]+)_\d+_\d+)_(?P<token>\w+)" + _NII,
        patient=r"(Phantom_[A-Z]+_\d+)_\d+",
        grade_folder="exact",
    ),
    *(
        Release(
            f"BraTS 20{year}",
            rf"(?:^|/)(?P<case>Brats{year}" + _BY_SITE,
            # The same number under the same site is the same patient in all three.
            patient=r"Brats\d\d_(.+)_\d+",
            grade_folder="exact",
        )
        for year in (17, 18, 19)
    ),
    Release(
        "BraTS 2020",
        r"(?:^|/)(?P<case>BraTS20_(?:Training|Validation)_\d+)_(?P<token>\w+)" + _NII,
    ),
    Release("BraTS 2021", r"(?:^|/)(?P<case>BraTS2021_\d+)_(?P<token>\w+)" + _NII),
    Release(
        "BraTS 2023 GLI",
        r"(?:^|/)(?P<case>BraTS-GLI-\d+-\d+)-(?P<token>\w+)" + _NII,
        labels={0: 0, 1: 1, 2: 2, 3: 4},
        patient=r"(BraTS-GLI-\d+)-\d+",
    ),
    Release(
        "MSD Task01",
        r"(?:^|/)(?P<token>imagesT[rs]|labelsTr)/(?P<case>BRATS_\d+)" + _NII,
        kind="nifti4d",
        labels={0: 0, 1: 2, 2: 1, 3: 4},
        channels={"flair": 0, "t1": 1, "t1ce": 2, "t2": 3},
    ),
    Release(
        "UCSF-PDGM",
        r"(?:^|/)(?P<case>UCSF-PDGM-\d+(?:_FU\d+d)?)_(?P<token>\w+)" + _NII,
        patient=r"(UCSF-PDGM-\d+)",
        site="UCSF",
    ),
    Release(
        "UPENN-GBM",
        r"(?:^|/)(?P<case>UPENN-GBM-\d+_\d+)_(?P<token>\w+)" + _NII,
        patient=r"(UPENN-GBM-\d+)",
        site="UPENN",
        grade="HGG",
    ),
    Release(
        "BraTS-TCGA",
        r"(?:^|/)(?P<case>TCGA-(?P<site>\w\w)-\w{4}_[\d.]+)_(?P<token>\w+)" + _NII,
        patient=r"(TCGA-\w\w-\w{4})",
        grade_folder="words",
    ),
    Release(
        "TCGA-LGG",
        r"(?:^|/)(?P<case>TCGA_(?P<site>\w\w)_\w{4}_\d+)_(?P<slice>\d+)"
        r"(?P<token>_mask)?\.tiff?$",
        kind="tif",
        labels={0: 0, 255: 5, 1: 5},
        expects=("t1", "flair", "t1ce", "seg"),
        channels={"t1": 0, "flair": 1, "t1ce": 2},
        patient=r"(TCGA_\w\w_\w{4})",
        stripped=False,
    ),
    Release(
        "Cheng",
        r"(?:^|/)(?P<case>\d+)(?P<token>\.mat)$",
        kind="mat",
        labels={0: 0, 1: 5},
        expects=("t1ce", "seg"),
        channels={"t1ce": 0},
        stripped=False,
    ),
)

_NEVER = r"(?!)"
#: Files that a person names one by one; nothing is recognized as these. Any label
#: above zero is tumor. Two rows, for with and without the skull.
OWN_FILES = Release(
    "own files", _NEVER, labels={0: 0, **dict.fromkeys(range(1, 255), 5)}, expects=()
)
OWN_HEADS = replace(OWN_FILES, name="own files, skull on", stripped=False)

BY_NAME = {release.name: release for release in (*RELEASES, OWN_FILES, OWN_HEADS)}


def sequence_of(token: str) -> tuple[str, int] | None:
    """Sequence a token stands for, and its rank (lower is preferred)."""
    for sequence, names in _TOKENS.items():
        if token.lower() in names:
            return sequence, names.index(token.lower())
    return None


def sequence_in(name: str) -> str | None:
    """Sequence that the last word of a file name stands for, if it does."""
    match = re.search(r"(?:^|[_\-. ])([A-Za-z0-9]+?)" + _NII, name, re.IGNORECASE)
    hit = sequence_of(match[1]) if match else None
    return hit[0] if hit else None


def recognize(relative: str) -> tuple[Release, re.Match[str]] | None:
    """The release a path below the root belongs to."""
    for release in RELEASES:
        if match := release.match(relative):
            return release, match
    return None
