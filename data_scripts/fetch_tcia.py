"""Fetch a NIfTI collection of The Cancer Imaging Archive (TCIA).

TCIA hands its NIfTI packages out on the page of each collection, as a link or through
its Aspera browser plug-in; its DICOM collections also come through the client of the
Imaging Data Commons (pip install idc-index), but the loaders here read NIfTI.
"""

import argparse
from pathlib import Path

from lrpbook_lib.commands import downloads, run
from lrpbook_lib.data.sets.fetch import Download, fetch, unpack

PAGES = {
    "brats-tcga-gbm": "www.cancerimagingarchive.net/analysis-result/brats-tcga-gbm",
    "brats-tcga-lgg": "www.cancerimagingarchive.net/analysis-result/brats-tcga-lgg",
    "ucsf-pdgm": "www.cancerimagingarchive.net/collection/ucsf-pdgm",
    "upenn-gbm": "www.cancerimagingarchive.net/collection/upenn-gbm",
}
STEPS = """\
{name} comes from its page:
  1. Open https://{page} and read its terms and citations.
  2. NIfTI packages with a plain link: copy it, and its checksum where one is shown, and
     run this again with --url LINK --checksum md5:... (a broken download continues).
  3. Packages through Aspera: install the plug-in the page offers, download to
     {folder}, and unpack there.
  4. Put the clinical table (CSV) of the page into the same folder: it holds the
     grade."""


def main() -> None:
    """Download from a copied link, or say where the link is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(PAGES))
    parser.add_argument("--folder", type=Path, default=downloads() / "tcia")
    parser.add_argument("--url", help="the link of a package, copied from the page")
    parser.add_argument("--checksum", help="md5:... or sha256:... of the package")
    o = parser.parse_args()
    target = o.folder / o.name
    if o.url is None or o.checksum is None:
        raise RuntimeError(STEPS.format(name=o.name, page=PAGES[o.name], folder=target))
    archive = fetch(Download(o.url, f"{o.name}.zip", o.checksum), o.folder)
    print(f"cases in {unpack(archive, target)}")


if __name__ == "__main__":
    run(main)
