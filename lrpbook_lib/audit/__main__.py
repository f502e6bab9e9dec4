"""Does a trained model use what its heatmap shows? A page that tells, test by test.

Slices are those of a folder that SliceSet.save or data_scripts/prepare_slices.py wrote,
of patients that the model was not trained on. For teaching and research; not for
clinical use.
"""

import runpy
from collections.abc import Sequence
from pathlib import Path

from lrpbook_lib.commands import model_parser, run
from lrpbook_lib.data import SliceSet
from lrpbook_lib.training import read_model

from . import audit, middle_slices


def main(arguments: Sequence[str] | None = None) -> None:
    """Read model and slices, ask, write the page and the table."""
    parser = model_parser("audit", __doc__)
    add = parser.add_argument
    add("--slices", type=Path, required=True, help="folder of a saved slice set")
    add("--twins", type=Path, help="folder of slices of a phantom made with twins")
    add("--out", type=Path, required=True, metavar="PAGE.html", help="the page; the "
        "table comes beside it, as .csv")  # fmt: skip
    add("--most", type=int, default=100, help="patients, one slice each; default 100")
    add("--seed", type=int, default=0)
    add("--networks", type=Path, metavar="FILE.py", help="registers your own network")
    o = parser.parse_args(arguments)
    if o.out.suffix != ".html":
        raise ValueError(f"--out {o.out}: name a page, such as audit.html")
    if o.networks:
        runpy.run_path(str(o.networks))
    slices = middle_slices(SliceSet.load(o.slices), o.most)
    twins = SliceSet.load(o.twins) if o.twins else None
    report = audit(read_model(o.model), slices, twins=twins, seed=o.seed)
    report.write(o.out)
    for row in report.table.itertuples():
        print(f"{row.test}: {row.verdict} ({row.estimate:.2f}; {row.reference:.2f})")
    print(f"written to {o.out}; for teaching and research, not for clinical use")


if __name__ == "__main__":
    run(main)
