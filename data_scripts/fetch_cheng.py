"""Fetch Cheng's brain tumor set from figshare (CC BY 4.0, no account needed).

3064 T1-weighted contrast-enhanced slices of 233 patients: meningioma, glioma and
pituitary tumor. Cite Cheng et al. 2015 and 2016.
"""

import argparse
from pathlib import Path

from lrpbook_lib.commands import downloads, run
from lrpbook_lib.data.sets.fetch import FIGSHARE, fetch_cheng


def main() -> None:
    """Download, check and unpack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=downloads())
    parser.add_argument(
        "--api", default=FIGSHARE, help="figshare's address, or a mirror"
    )
    options = parser.parse_args()
    print(f"cases in {fetch_cheng(options.folder, options.api)}")


if __name__ == "__main__":
    run(main)
