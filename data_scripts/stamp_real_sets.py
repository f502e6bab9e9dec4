"""What the real sets hold, counted for their data cards and stamped.

Needs the real data: set LRPBOOK_DATA. Only counts are kept, and no patient is named.
"""

import argparse
import hashlib
from pathlib import Path

from book_tools.cards.counting import PLACES, real_facts
from lrpbook_lib.commands import run
from lrpbook_lib.places import data_home
from lrpbook_lib.results import write_result


def main() -> None:
    """Count, stamp, and say where."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    home = data_home()
    if home is None:
        raise FileNotFoundError("there is no real data here: set LRPBOOK_DATA")
    path = write_result(
        "real_sets",
        {name: real_facts(name, home) for name in PLACES},
        made_with=[
            "data_scripts/stamp_real_sets.py",
            "book_tools/cards/counting.py",
        ],
        data={path: content(home / path) for path in PLACES.values()},
    )
    print(path.name)


def content(path: Path) -> str:
    """Sixteen hexadecimal digits that name a file, or the files of a folder."""
    made = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) or [path]:
        made.update(file.read_bytes())
    return made.hexdigest()[:16]


if __name__ == "__main__":
    run(main)
