"""The phantom as a folder: written in parallel, resumed, never half.

Synthetic throughout: no voxel of it was measured in a patient.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from joblib import delayed

import lrpbook_lib
from lrpbook_lib.data.phantom.knobs import (
    RECIPE,
    PhantomSettings,
    Plan,
    named_by,
    plan_cohort,
    with_later,
)
from lrpbook_lib.data.phantom.patient import draw_patient
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

MANIFEST = "phantom_manifest.json"
SEQUENCES = ("t1", "t1ce", "t2", "flair")


def make_phantom(
    root: str | os.PathLike[str],
    patients: int = PhantomSettings.patients,
    seed: int = PhantomSettings.seed,
    *,
    workers: int | None = None,
    **knobs: float,
) -> Path:
    """Write a synthetic glioma cohort in the layout of BraTS.

    A run that was interrupted goes on where it stopped, a finished one is left as
    it is, and a folder made with other settings is refused. The bytes depend on the
    settings alone, not on the number of workers.

    Parameters
    ----------
    root
        Folder of the cohort; gets ``HGG/``, ``LGG/`` and a manifest.
    patients, seed, **knobs
        Fields of :class:`PhantomSettings`, e.g. ``difficulty=0.8``.
    workers
        Processes; default one a core.

    Returns
    -------
    Path
        `root`.
    """
    settings = PhantomSettings.of(patients=patients, seed=seed, **knobs).settled()
    root = Path(root).expanduser()
    with only_one(root):
        _make(root, settings, workers)
    return root


def cached_phantom(
    patients: int = PhantomSettings.patients,
    seed: int = PhantomSettings.seed,
    *,
    workers: int | None = None,
    **knobs: float,
) -> Path:
    """A phantom in the cache folder, made when it is first asked for.

    Parameters are those of :func:`make_phantom`; the folder is named by the settings.
    """
    settings = PhantomSettings.of(patients=patients, seed=seed, **knobs).settled()
    name = digest([RECIPE, named_by(asdict(settings))])
    folder = cache_home() / f"phantom-{name}"
    return make_phantom(folder, workers=workers, **asdict(settings))


def _make(root: Path, settings: PhantomSettings, workers: int | None) -> None:
    _claim(root, settings)
    plans = plan_cohort(settings)
    waiting = [p for p in plans if not (root / p.grade / p.case).is_dir()]
    if read_manifest(root)["complete"] and not waiting:
        return
    for grade in ("HGG", "LGG"):
        (root / grade).mkdir(exist_ok=True)
        remove_leftovers(root / grade)
    # A worker starts for seconds: only as many as the work is worth. All cores, for
    # whoever else wants this cohort is waiting.
    seconds = 0.4 * len(waiting) * (2 / settings.spacing) ** 3
    jobs = workers or min(all_cores(), max(1, round(seconds / 4)))
    calls = (delayed(_write_case)(root, plan, settings) for plan in waiting)
    for _ in in_processes(calls, jobs, len(plans), "synthetic patients"):
        pass
    write_json(root / MANIFEST, _manifest(settings, plans, root))


def read_manifest(root: str | os.PathLike[str]) -> dict[str, Any]:
    """Manifest of a phantom: every knob, its hash, and the truth of each patient."""
    path = Path(root) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: {root} is no phantom; make one with make_phantom"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def _claim(root: Path, settings: PhantomSettings) -> None:
    """Make the folder this cohort's own, or say whose it is."""
    if not (root / MANIFEST).exists():
        others = [p.name for p in root.iterdir() if not p.name.startswith(".")]
        if others:
            raise FileExistsError(
                f"{root} holds {others[0]!r} and no {MANIFEST}: a phantom needs an "
                "empty folder of its own"
            )
        write_json(root / MANIFEST, _manifest(settings, [], root))
        return
    found = read_manifest(root)
    wanted = {**asdict(settings), "recipe": RECIPE}
    held = {**with_later(found.get("settings", {})), "recipe": found.get("recipe")}
    differ = (k for k in wanted if held.get(k) != wanted[k])
    other = [f"{k}={held.get(k)} (not {wanted[k]})" for k in differ]
    if other:
        raise FileExistsError(
            f"{root} holds a phantom made with {', '.join(other)}: choose another "
            "folder, or remove this one"
        )


def _write_case(root: Path, plan: Plan, settings: PhantomSettings) -> None:
    """Write the five volumes and the truth of a patient."""
    patient, edge = draw_patient(plan, settings), settings.spacing
    # As in BraTS: first voxel at the origin, left-right and front-back reversed.
    affine = np.diag([-edge, -edge, edge, 1.0])
    affine[1, 3] = (patient.labels.shape[1] - 1) * edge
    volumes = dict(zip(SEQUENCES, patient.images, strict=True))
    with whole_or_absent(root / plan.grade / plan.case) as beside:
        beside.mkdir()
        for name, volume in {**volumes, "seg": patient.labels}.items():
            write_nifti(beside / f"{plan.case}_{name}.nii.gz", volume, affine)
        write_json(beside / "truth.json", patient.truth)


def _manifest(
    settings: PhantomSettings, plans: list[Plan], root: Path
) -> Mapping[str, Any]:
    knobs, cases = named_by(asdict(settings)), {}
    for plan in plans:
        truth = (root / plan.grade / plan.case / "truth.json").read_text("utf-8")
        who = {"grade": plan.grade, "site": plan.site}
        cases[plan.case] = {**who, **json.loads(truth)}
    return {
        "what": "Synthetic glioma cohort. No voxel was measured in a patient.",
        "settings": knobs,
        "recipe": RECIPE,
        "hash": digest([RECIPE, knobs]),
        "library": lrpbook_lib.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "sequences": list(SEQUENCES),
        "labels": {
            "1": "necrosis and non-enhancing core",
            "2": "edema",
            "4": "enhancing",
        },
        "complete": bool(plans),
        "cases": cases,
    }
