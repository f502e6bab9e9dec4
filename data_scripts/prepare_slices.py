"""Turn a folder of cases, of any supported release, into a set of slices."""

import argparse
from pathlib import Path

from lrpbook_lib.commands import run
from lrpbook_lib.data import RECIPES, extract_slices, find_cases
from lrpbook_lib.data.samples import check_target
from lrpbook_lib.data.slices.choosing import NORMALIZATIONS


def main() -> None:
    """Find the cases, say what was dropped and why, and write the slices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of a release, or of several")
    parser.add_argument("out", type=Path, help="folder for the slice set")
    parser.add_argument("--sequences", nargs="+", default=["t1", "t2", "flair"])
    parser.add_argument("--recipe", choices=list(RECIPES), default="paper")
    parser.add_argument(
        "--normalization", choices=list(NORMALIZATIONS), default="percentile"
    )
    parser.add_argument("--size", type=int, help="edge of the slices, pixels")
    parser.add_argument("--spacing", type=float, help="resample to this, mm")
    parser.add_argument(
        "--tables", nargs="*", default=[], help="name_mapping.csv and the like"
    )
    parser.add_argument("--report", type=Path, help="CSV file for all the problems")
    parser.add_argument("--workers", type=int, help="processes; default one a core")
    o = parser.parse_args()
    check_target(o.out)  # now, and not after an hour's work
    require = (*o.sequences, "seg")
    cases = find_cases(o.root, require=require, tables=o.tables, workers=o.workers)
    print(cases.summary().to_string(index=False))
    if o.report is not None:
        cases.report().to_csv(o.report, index=False)
    if not cases:
        first = cases.report().iloc[0]
        raise ValueError(f"no sound case below {o.root}; the first: {first['detail']}")
    slices = extract_slices(
        cases,
        o.sequences,
        recipe=o.recipe,
        normalization=o.normalization,
        size=o.size,
        spacing=o.spacing,
        into=o.out,
        workers=o.workers,
    )
    print(f"{slices} in {o.out}")


if __name__ == "__main__":
    run(main)
