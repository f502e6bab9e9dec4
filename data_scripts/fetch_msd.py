"""Fetch Task01 of the Medical Segmentation Decathlon (CC BY-SA 4.0, no account).

484 gliomas with masks and without grades: for relevance against masks, not for
classification. About 7 GB. Cite Antonelli et al. 2022.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from lrpbook_lib.commands import downloads, run
from lrpbook_lib.data.sets.fetch import MSD_BRAIN, fetch_msd


def main() -> None:
    """Download, check and unpack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=downloads())
    parser.add_argument("--url", default=MSD_BRAIN.url, help="a mirror of the archive")
    parser.add_argument("--checksum", default=MSD_BRAIN.checksum)
    o = parser.parse_args()
    item = replace(MSD_BRAIN, url=o.url, checksum=o.checksum)
    print(f"cases in {fetch_msd(o.folder, item)}")


if __name__ == "__main__":
    run(main)
