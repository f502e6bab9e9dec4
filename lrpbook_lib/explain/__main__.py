"""Where does a trained model look in your own scans? Heatmaps, pictures and scores.

One case: name an image for each sequence of the model, and the tumor mask if there is
one. Many: name a folder of cases in any layout that find_cases knows (BraTS, UCSF-PDGM
and others). Each case gets a folder below --out: heatmap.nii.gz, which lies on the
image in any viewer, overlay.png and score.json. A model of
whole heads, such as GrazNet, wants one T1 image in the space that it was trained in, or
a folder of them laid out as BIDS says. For teaching and research; not for clinical use.
"""

import argparse
import json
import runpy
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from lrpbook_lib.commands import model_parser, run
from lrpbook_lib.data import Case, find_cases, find_heads, own_case
from lrpbook_lib.data.cases.case import Problem
from lrpbook_lib.data.cases.readers import sequence_in
from lrpbook_lib.explain.many import explain_all
from lrpbook_lib.explain.one import slices_for
from lrpbook_lib.explain.volume import takes_volumes, volume_settings
from lrpbook_lib.files import whole_or_absent
from lrpbook_lib.training import read_model


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the model, find the cases, explain them, and say what was left out."""
    o = _parser().parse_args(arguments)
    if o.networks:
        runpy.run_path(str(o.networks))
    model = read_model(o.model, **(json.loads(o.spec.read_text()) if o.spec else {}))
    whole = takes_volumes(model)
    channels = model.spec.channels if whole else slices_for(model).sequences
    space = model.spec.space if whole and volume_settings(model) else None
    one = _one_of_their_own(o, channels)
    cases, problems = ([one], []) if one else _found(o, channels, space)
    table, failed = explain_all(cases, model, o.out, o.target, o.explorer)
    problems = [*problems, *failed]
    reports = {"scores.csv": table, "problems.csv": pd.DataFrame(map(asdict, problems))}
    for name, frame in reports.items():
        if one is None:
            with whole_or_absent(o.out / name) as beside:
                frame.to_csv(beside, index=False)
    for problem in problems:
        left = "left out" if problem.dropped else "note"
        print(f"{left}: {problem.case}: {problem.kind}: {problem.detail}")
    if table.empty:
        raise ValueError("no case could be explained")
    print(table.to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    print(f"written below {o.out}; for teaching and research, not for clinical use")


def _parser() -> argparse.ArgumentParser:
    parser = model_parser("explain", __doc__)
    add = parser.add_argument
    add(
        "--image",
        required=True,
        action="append",
        metavar="[SEQUENCE=]FILE",
        help="a NIfTI image, once a sequence; or one folder of cases. Without "
        "SEQUENCE= the file name tells it (.._t1.nii.gz), else the order of the model",
    )
    add(
        "--mask",
        type=Path,
        help="NIfTI mask; any label above zero is tumor, or, for a model of whole "
        "heads, brain",
    )
    add("--out", type=Path, required=True, help="folder for the results")
    add(
        "--explorer",
        action="store_true",
        help="write explorer.html too, to try the model on the slices in a browser",
    )
    add("--name", help="name of the case; default the first image's file name")
    add("--target", help="class to explain; default the one predicted for the case")
    add("--tables", nargs="*", default=[], help="name_mapping.csv and the like")
    add(
        "--networks",
        type=Path,
        metavar="FILE.py",
        help="file that registers a network of your own, which the model is",
    )
    add(
        "--spec",
        type=Path,
        metavar="FILE.json",
        help="what the checkpoint does not tell, or what is called otherwise: network, "
        "arguments, channels, classes, shape, normalization",
    )
    return parser


def _found(
    o: argparse.Namespace, sequences: Sequence[str], space: str | None
) -> tuple[list[Case], list[Problem]]:
    """The cases of a folder, or its heads in a space, and what is wrong with others."""
    if o.mask or o.name:
        raise ValueError(
            "--mask and --name are for one case; the masks of a folder lie in it"
        )
    how: dict[str, Any] = {"require": sequences, "tables": o.tables}
    if space is None:
        cases = find_cases(o.image[0], **how)
    else:
        cases = find_heads(o.image[0], space, labeled=False, **how)
    return list(cases), cases.problems


def _one_of_their_own(o: argparse.Namespace, sequences: Sequence[str]) -> Case | None:
    """The case whose files were named one by one, unless a folder was named."""
    if len(o.image) == 1 and Path(o.image[0]).expanduser().is_dir():
        return None
    named: dict[str, Path] = {}
    for place, text in enumerate(o.image):
        sequence, path = _sequence_of(text, place, sequences)
        if sequence in named:
            raise ValueError(
                f"--image: {named[sequence].name} and {path.name} would both be "
                f"{sequence}; say which is which, as in {sequences[0]}={path.name}"
            )
        named[sequence] = path
    if set(named) != set(sequences):
        raise ValueError(
            f"--image: the model looks at {', '.join(sequences)}; named are "
            f"{', '.join(named)}"
        )
    return own_case({s: named[s] for s in sequences}, o.mask, o.name)


def _sequence_of(text: str, place: int, sequences: Sequence[str]) -> tuple[str, Path]:
    head, mark, tail = text.partition("=")
    if mark and not Path(text).exists():
        if head not in sequences:
            raise ValueError(
                f"--image {text}: {head!r} is none of the model's sequences, which are "
                f"{', '.join(sequences)}"
            )
        return head, Path(tail)
    path = Path(text)
    if told := sequence_in(path.name):
        return told, path
    if place >= len(sequences):
        raise ValueError(
            f"--image: more images than the model's {len(sequences)} sequences "
            f"({', '.join(sequences)})"
        )
    return sequences[place], path


if __name__ == "__main__":
    run(main)
