"""How well the source site alone predicts the grade in BraTS: counts, stamped.

Reads the name_mapping tables of BraTS 2019 and 2020. Needs the real tables: set
LRPBOOK_DATA. Only counts of patients are kept.
"""

import argparse

from lrpbook_lib.commands import real_data, run
from lrpbook_lib.data import read_table, site_facts
from lrpbook_lib.results import write_result

TABLES = {
    "BraTS 2019": "tables/BraTS2019_name_mapping.csv",
    "BraTS 2020": "tables/BraTS2020_name_mapping.csv",
}


def main() -> None:
    """Count, stamp, and say where."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    home = real_data(*TABLES.values())
    path = write_result(
        "site_predicts_brats_grade",
        {name: site_facts(read_table(home / file)) for name, file in TABLES.items()},
        made_with=[
            "data_scripts/stamp_site_grade.py",
            "lrpbook_lib/data/cases/tables.py:read_table",
            "lrpbook_lib/data/sites.py:site_facts",
        ],
        data={file: home / file for file in TABLES.values()},
    )
    print(path.name)


if __name__ == "__main__":
    run(main)
