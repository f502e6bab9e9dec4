"""How many BraTS "LGG" patients are WHO grade II, how many III? Counts, stamped.

Joins the BraTS 2019 name mapping with the WHO grades of TCGA patients (Buda et al.),
for the patients that both sets hold. Needs the real tables: set LRPBOOK_DATA.
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lrpbook_lib.results import write_result

ROOT = Path(__file__).resolve().parents[1]
MAPPING = "tables/BraTS2019_name_mapping.csv"
GRADES = "tcga_lgg/tcga_lgg_128.npz"


def main() -> str | None:
    """Count, stamp, and say where; a string is what is missing."""
    data = Path(os.environ.get("LRPBOOK_DATA", ROOT.parent / "shared" / "data"))
    for file in (MAPPING, GRADES):
        if not (data / file).is_file():
            return f"{data / file} is missing: set LRPBOOK_DATA to the real data"
    # "NA" is text in this table, not a missing value.
    mapping = pd.read_csv(data / MAPPING, keep_default_na=False)
    lgg = set(mapping.loc[mapping.Grade == "LGG", "TCGA_TCIA_subject_ID"])
    with np.load(data / GRADES) as kept:
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
        data={
            file: hashlib.sha256((data / file).read_bytes()).hexdigest()[:16]
            for file in (MAPPING, GRADES)
        },
    )
    print(path.relative_to(ROOT))
    return None


if __name__ == "__main__":
    sys.exit(main())
