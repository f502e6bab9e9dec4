"""The synthetic heads as a folder laid out as BIDS says: resumed, never half.

Synthetic throughout: no voxel around the brain was measured in a person, and the brain
is a bent average.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed

import lrpbook_lib
from lrpbook_lib.data.heads.head import Head, draw_head
from lrpbook_lib.data.heads.knobs import (
    RECIPE,
    SPACES,
    HeadSettings,
    Person,
    plan_people,
)
from lrpbook_lib.data.heads.template import REGIONS
from lrpbook_lib.files import (
    all_cores,
    digest,
    in_processes,
    only_one,
    remove_leftovers,
    whole_or_absent,
    write_json,
    write_nifti,
)
from lrpbook_lib.places import cache_home

_ABOUT = "dataset_description.json"
_DERIVED = Path("derivatives") / "lrpbook"
#: How BIDS names the spaces; the template is the ICBM 152 nonlinear symmetric 2009a.
_ENTITY = {
    "native": "",
    "linear": "_space-MNI152Lin",
    "nonlinear": "_space-MNI152NLin2009aSym",
}
_WHAT = "Synthetic heads. No voxel was measured in a person with or without dementia."


def make_heads(
    root: str | os.PathLike[str],
    people: int = HeadSettings.people,
    seed: int = HeadSettings.seed,
    *,
    workers: int | None = None,
    **knobs: float,
) -> Path:
    """Write a synthetic cohort of heads, two groups of the same ages, as BIDS says.

    ``participants.tsv``, ``sub-*/anat/*_T1w.nii.gz``, and in ``derivatives`` brain
    masks, tissue maps, region maps, and the images registered linearly and nonlinearly
    by known transforms. An interrupted run goes on, a finished one is left as it is,
    and a folder made with other settings is refused.

    Parameters
    ----------
    root
    people, seed, **knobs
        Fields of :class:`~lrpbook_lib.data.HeadSettings`, e.g. ``local_effect=0.5``.
    workers
        Processes; default one a core.

    Returns
    -------
    Path
        `root`.
    """
    settings = HeadSettings.of(people=people, seed=seed, **knobs)
    root = Path(root).expanduser()
    with only_one(root):
        _claim(root, settings)
        _fill(root, settings, workers)
    return root


def cached_heads(
    people: int = HeadSettings.people,
    seed: int = HeadSettings.seed,
    *,
    workers: int | None = None,
    **knobs: float,
) -> Path:
    """A cohort in the cache folder, made when it is first asked for."""
    settings = asdict(HeadSettings.of(people=people, seed=seed, **knobs))
    folder = cache_home() / f"heads-{digest([RECIPE, settings])}"
    return make_heads(folder, workers=workers, **settings)


def read_truth(root: str | os.PathLike[str]) -> pd.DataFrame:
    """What the people of a synthetic cohort were made from, and their volumes, in ml.

    A row a person: the fields of :class:`Person`, ``brain_ml``, ``head_ml`` (inside the
    skull), ``brain_share`` (their quotient), ``hippocampi_ml`` and ``ventricles_ml``.
    """
    return pd.read_csv(Path(root) / _DERIVED / "truth.tsv", sep="\t")


def _claim(root: Path, settings: HeadSettings) -> None:
    """Make the folder this cohort's own, or say whose it is."""
    mine = {**asdict(settings), "recipe": RECIPE}
    path = root / _ABOUT
    if path.is_file():
        held = json.loads(path.read_text("utf-8")).get("Settings", {})
        differ = [
            f"{k}={held.get(k)} (not {v})" for k, v in mine.items() if held.get(k) != v
        ]
        if differ:
            raise FileExistsError(
                f"{root} holds heads made with {', '.join(differ)}: choose another "
                "folder, or remove this one"
            )
        return
    others = [p.name for p in root.iterdir() if not p.name.startswith(".")]
    if others:
        raise FileExistsError(
            f"{root} holds {others[0]!r} and no {_ABOUT}: the heads need an empty "
            "folder of their own"
        )
    about = {"Name": _WHAT, "BIDSVersion": "1.9.0", "DatasetType": "raw"}
    by = {"GeneratedBy": [{"Name": "lrpbook", "Version": lrpbook_lib.__version__}]}
    write_json(root / _DERIVED / _ABOUT, {**about, **by, "DatasetType": "derivative"})
    write_json(path, {**about, **by, "Settings": mine})


def _fill(root: Path, settings: HeadSettings, workers: int | None) -> None:
    people = plan_people(settings)
    derived = root / _DERIVED
    # A person's own images come last: they say that all is there.
    waiting = [p for p in people if not (root / p.name).is_dir()]
    if not waiting and (derived / "truth.tsv").is_file():
        return
    for folder in (root, derived):
        remove_leftovers(folder)
    seconds = 1.5 * len(waiting) * (2 / settings.spacing) ** 3
    # A worker draws the template first, which takes as long as several heads.
    jobs = workers or min(all_cores(), max(1, round(seconds / 12)))
    calls = (delayed(_write_person)(root, person, settings) for person in waiting)
    for _ in in_processes(calls, jobs, len(people), "synthetic heads"):
        pass
    rows = [
        {
            **asdict(p),
            **json.loads((derived / p.name / "truth.json").read_text("utf-8")),
        }
        for p in people
    ]
    table = pd.DataFrame(rows).rename(columns={"name": "participant_id"})
    public = ["participant_id", "age", "sex", "group", "site"]
    for path, columns in (
        (root / "participants.tsv", public),
        (derived / "truth.tsv", list(table)),
    ):
        with whole_or_absent(path) as beside:
            table[columns].to_csv(beside, sep="\t", index=False)


def _write_person(root: Path, person: Person, settings: HeadSettings) -> None:
    heads = draw_head(person, settings, SPACES)
    with whole_or_absent(root / _DERIVED / person.name, replace=True) as beside:
        for space, head in heads.items():
            stem = f"{person.name}{_ENTITY[space]}"
            _write(beside / "anat", stem, head, native=space == "native")
        write_json(beside / "truth.json", volumes_ml(heads["native"], settings.spacing))
    with whole_or_absent(root / person.name) as beside:
        (beside / "anat").mkdir(parents=True)
        native = heads["native"]
        path = beside / "anat" / f"{person.name}_T1w.nii.gz"
        write_nifti(path, native.t1, native.affine)


def _write(folder: Path, stem: str, head: Head, native: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, np.ndarray] = {
        "_desc-brain_mask": head.brain.astype("u1"),
        "_desc-regions_dseg": head.regions,
    }
    if native:
        names = {"gray": "GM", "white": "WM", "fluid": "CSF"}
        for tissue, name in names.items():
            # In steps of 1/256, which compress well.
            coarse = np.rint(head.tissues[tissue] * 256).astype("f4") / 256
            files[f"_label-{name}_probseg"] = coarse
    else:
        files["_T1w"] = head.t1
    for name, volume in files.items():
        write_nifti(folder / f"{stem}{name}.nii.gz", volume, head.affine)


def volumes_ml(head: Head, spacing: float) -> Mapping[str, Any]:
    """Volumes of a head in ml, and the share of brain tissue inside the skull."""
    ml = spacing**3 / 1000
    gray, white, fluid = (head.tissues[n] for n in ("gray", "white", "fluid"))
    tissue = gray + white
    brain, inside = float(tissue.sum() * ml), float((tissue + fluid).sum() * ml)
    of = {name: head.regions == number for number, name in enumerate(REGIONS)}
    found = {
        "brain_ml": brain,
        "head_ml": inside,
        "brain_share": brain / inside,
        "mask_ml": float(head.brain.sum() * ml),
        "hippocampi_ml": float(tissue[of["hippocampi"]].sum() * ml),
        "ventricles_ml": float(fluid[of["ventricles"]].sum() * ml),
    }
    return {name: round(value, 5) for name, value in found.items()}
