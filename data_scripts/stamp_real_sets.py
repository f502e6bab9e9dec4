"""What the real sets hold, counted for their data cards and stamped.

Needs the real data: set LRPBOOK_DATA. Only counts are kept, and no patient is named.
"""

import argparse

from book_tools.cards.counting import PLACES, real_facts
from lrpbook_lib.commands import real_data, run
from lrpbook_lib.results import write_result


def main() -> None:
    """Count, stamp, and say where."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    home = real_data(*PLACES.values())
    path = write_result(
        "real_sets",
        {name: real_facts(name, home) for name in PLACES},
        made_with=[
            "data_scripts/stamp_real_sets.py",
            "book_tools/cards/counting.py:real_facts",
        ],
        data={path: home / path for path in PLACES.values()},
    )
    print(path.name)


if __name__ == "__main__":
    run(main)
