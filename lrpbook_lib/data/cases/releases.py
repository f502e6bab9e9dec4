"""Every supported release, a row each. To support another one, add a row."""

from lrpbook_lib.data.cases.images import Cheng, TcgaLgg
from lrpbook_lib.data.cases.readers import NII, Reader, Stacks
from lrpbook_lib.data.cases.tables import NAME_MAPPINGS, UCSF_METADATA

_GRADES = {"HGG": "HGG", "LGG": "LGG"}
_BY_SITE = r"_(?P<site>[A-Za-z]+\d*|\d{4})_[A-Za-z0-9]+_\d+)_(?P<token>\w+)" + NII

RELEASES: tuple[Reader, ...] = (
    Reader(
        "Phantom",
        r"(?:^|/)(?P<case>Phantom_(?P<site>[A-Z]+)_\d+[HL]?_\d+)_(?P<token>\w+)" + NII,
        patient=r"(Phantom_[A-Z]+_\d+[HL]?)_\d+",
        folders=_GRADES,
    ),
    *(
        Reader(
            f"BraTS 20{year}",
            rf"(?:^|/)(?P<case>Brats{year}" + _BY_SITE,
            # The same number under the same site is the same patient in all three.
            patient=r"Brats\d\d_(.+)_\d+",
            folders=_GRADES,
            tables=NAME_MAPPINGS,
        )
        for year in (17, 18, 19)
    ),
    Reader(
        "BraTS 2020",
        r"(?:^|/)(?P<case>BraTS20_(?:Training|Validation)_\d+)_(?P<token>\w+)" + NII,
        tables=NAME_MAPPINGS,
    ),
    Reader("BraTS 2021", r"(?:^|/)(?P<case>BraTS2021_\d+)_(?P<token>\w+)" + NII),
    Reader(
        "BraTS 2023 GLI",
        r"(?:^|/)(?P<case>BraTS-GLI-\d+-\d+)-(?P<token>\w+)" + NII,
        labels={0: 0, 1: 1, 2: 2, 3: 4},
        patient=r"(BraTS-GLI-\d+)-\d+",
    ),
    Stacks(
        "MSD Task01",
        r"(?:^|/)(?P<token>imagesT[rs]|labelsTr)/(?P<case>BRATS_\d+)" + NII,
        channels=("flair", "t1", "t1ce", "t2"),
        labels={0: 0, 1: 2, 2: 1, 3: 4},
    ),
    Reader(
        "UCSF-PDGM",
        r"(?:^|/)(?P<case>UCSF-PDGM-\d+(?:_FU\d+d)?)_(?P<token>\w+)" + NII,
        patient=r"(UCSF-PDGM-\d+)",
        site="UCSF",
        tables=(UCSF_METADATA,),
    ),
    Reader(
        "UPENN-GBM",
        r"(?:^|/)(?P<case>UPENN-GBM-\d+_\d+)_(?P<token>\w+)" + NII,
        patient=r"(UPENN-GBM-\d+)",
        site="UPENN",
        facts={"grade": "HGG"},
    ),
    Reader(
        "BraTS-TCGA",
        r"(?:^|/)(?P<case>TCGA-(?P<site>\w\w)-\w{4}_[\d.]+)_(?P<token>\w+)" + NII,
        patient=r"(TCGA-\w\w-\w{4})",
        folders={**_GRADES, "GBM": "HGG"},
        inside_names=True,
    ),
    TcgaLgg(
        "TCGA-LGG",
        r"(?:^|/)(?P<case>TCGA_(?P<site>\w\w)_\w{4}_\d+)_(?P<slice>\d+)"
        r"(?P<token>_mask)?\.tiff?$",
    ),
    Cheng("Cheng", r"(?:^|/)(?P<case>\d+)(?P<token>\.mat)$"),
)
