"""Write the synthetic glioma cohort in the layout of BraTS."""

import argparse
from dataclasses import fields
from pathlib import Path

from book_tools.cards import data_card
from lrpbook_lib.commands import run
from lrpbook_lib.data import PhantomSettings, make_phantom, read_manifest


def main() -> None:
    """Parse the arguments and make the cohort."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of the cohort")
    for knob in fields(PhantomSettings):
        parser.add_argument(
            f"--{knob.name.replace('_', '-')}",
            type=type(knob.default),
            default=knob.default,
            help=f"default {knob.default}",
        )
    parser.add_argument("--workers", type=int, help="processes; default one a core")
    options = vars(parser.parse_args())
    root = make_phantom(options.pop("root"), **options)
    manifest = read_manifest(root)
    (root / "CARD.md").write_text(data_card(manifest), encoding="utf-8")
    print(f"{len(manifest['cases'])} synthetic patients in {root}; see CARD.md there")


if __name__ == "__main__":
    run(main)
