"""How many BraTS "LGG" patients are WHO grade II, how many III? Counts, stamped.

Joins the BraTS 2019 name mapping with the WHO grades of TCGA patients (Buda et al.),
for the patients that both sets hold. Needs the real tables: set LRPBOOK_DATA. Only
counts of patients are kept.
"""

import argparse

import numpy as np

from lrpbook_lib.commands import real_data, run
from lrpbook_lib.data import read_table
from lrpbook_lib.results import write_result

MAPPING = "tables/BraTS2019_name_mapping.csv"
GRADES = "tcga_lgg/tcga_lgg_128.npz"


def main() -> None:
    """Count, stamp, and say where."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    home = real_data(MAPPING, GRADES)
    mapping = read_table(home / MAPPING)
    lgg = set(mapping.loc[mapping.Grade == "LGG", "TCGA_TCIA_subject_ID"])
    with np.load(home / GRADES) as kept:
        grade_of = dict(zip(kept["patient"], kept["who_grade"], strict=True))
    known = [
        int(grade)
        for patient, grade in grade_of.items()
        if patient.replace("_", "-") in lgg
    ]
    path = write_result(
        "who_grades_of_brats_lgg",
        {
            "patients_by_who_grade": [known.count(2), known.count(3)],
            "lgg_patients": int((mapping.Grade == "LGG").sum()),
        },
        made_with=["data_scripts/stamp_who_grades.py"],
        data={file: home / file for file in (MAPPING, GRADES)},
    )
    print(path.name)


if __name__ == "__main__":
    run(main)
