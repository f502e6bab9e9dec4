"""Run the experiments of the book and stamp what they found: ``make results``.

What has been run is not run again; stopped midway, the same command goes on.
"""

import argparse
from importlib import import_module

from lrpbook_lib.commands import AbsentDataError, run

from ..runs import stale

#: In the order of the book, which is also that of what matters most.
NAMES = (
    "table1",
    "tuning",
    "worth",
    "yardsticks",
    "schedules",
    "explainers",
    "fairwashing",
    "models",
    "dynamics",
    "audit",
    "losses",
    "where",
    "ablations",
    "shares",
    "heads",
    "five_numbers",
    "brats_sites",
    "cheng",
    "tcga_lgg",
)


def main() -> None:
    """Read the arguments; run one result after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default all")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one a core")
    parser.add_argument(
        "--check", action="store_true", help="run nothing; say what is stale, and why"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    for name in options.names or NAMES:
        if options.check:
            print(f"{name}: {'; '.join(stale(name)) or 'fresh'}")
            continue
        try:
            import_module(f"{__package__}.{name}").main(options.jobs)
        except AbsentDataError as absent:
            print(f"{name}: skipped, {absent}")


if __name__ == "__main__":
    run(main)
