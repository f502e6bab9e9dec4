"""Fetch a set from Kaggle with Kaggle's own client.

These are re-uploads by third parties: the terms of the BraTS organizers hold, whatever
license the page shows. You need a free account and its API token.
"""

import argparse
from pathlib import Path

from lrpbook_lib.commands import call_client, downloads, run

SETS = {
    "brats2020": "awsaf49/brats20-dataset-training-validation",
    "tcga-lgg": "mateuszbuda/lgg-mri-segmentation",
}
STEPS = """\
  1. You have an account at www.kaggle.com and accepted the terms of the set on its
     page, www.kaggle.com/datasets/{name}
  2. Its API token (Settings, Create New Token) is in ~/.kaggle/kaggle.json or in the
     environment variables KAGGLE_USERNAME and KAGGLE_KEY, never in a file of this
     project"""


def main() -> None:
    """Call the client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(SETS))
    parser.add_argument("--folder", type=Path, default=downloads() / "kaggle")
    o = parser.parse_args()
    target = o.folder / o.name
    target.mkdir(parents=True, exist_ok=True)
    name = SETS[o.name]
    call_client(
        ["kaggle", "datasets", "download", name, "-p", str(target), "--unzip"],
        "kaggle",
        STEPS.format(name=name),
    )
    print(f"cases in {target}")


if __name__ == "__main__":
    run(main)
