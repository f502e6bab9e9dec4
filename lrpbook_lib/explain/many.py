"""Many cases, one after the other: what is done stays done, what is bad is told."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from lrpbook_lib.data import Case
from lrpbook_lib.data.cases.case import Problem
from lrpbook_lib.explain.one import explain_case
from lrpbook_lib.explain.volume import explain_volume, takes_volumes, write_volume
from lrpbook_lib.explain.write import job_key, write_explained
from lrpbook_lib.files import (
    only_one,
    quiet,
    remove_leftovers,
    whole_or_absent,
)
from lrpbook_lib.training import TrainedModel

#: What the table tells of a case, of slices or of a volume.
_TOLD = ("tumor_score", "share_in_brain", "chance", "slices")


def explain_all(
    cases: Iterable[Case],
    model: TrainedModel,
    out: str | Path,
    target: str | None = None,
    explorer: bool = False,
) -> tuple[pd.DataFrame, list[Problem]]:
    """Explain cases into one folder each, below ``out``.

    A case whose files, model and settings are those of a folder already there is not
    done again. One that fails leaves the others alone.

    Parameters
    ----------
    cases
    model
        From :func:`~lrpbook_lib.training.read_model`.
    out
        Gets a folder a case, named by its id.
    target
        See :func:`explain_case`.
    explorer
        Whether each case gets an ``explorer.html`` too, of several megabytes.

    Returns
    -------
    table : DataFrame
        A row a case that is done: case, predicted, the probabilities, tumor score (of
        volumes, the share of relevance in the brain), chance, and whether it was done
        before.
    problems : list of Problem
        Of those that are not.
    """
    cases, out = list(cases), Path(out).expanduser()
    out.mkdir(parents=True, exist_ok=True)
    rows, problems = [], []
    with only_one(out):
        remove_leftovers(out)
        for case in tqdm(cases, desc="cases", disable=quiet() or len(cases) < 2):
            try:
                rows.append(_one(case, model, out / case.id, target, explorer))
            except (ValueError, KeyError, OSError, RuntimeError) as error:
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise  # nothing after it can go better
                text = str(error.args[0] if isinstance(error, KeyError) else error)
                problems.append(Problem(case.id, case.release, "not explained", text))
    return pd.DataFrame(rows), problems


def _one(
    case: Case, model: TrainedModel, folder: Path, target: str | None, explorer: bool
) -> dict[str, object]:
    if not case.reader.writes_nifti:
        raise ValueError(
            f"{case.release} keeps other files, and a heatmap on their grid needs "
            "NIfTI; convert them, or use lrpbook_lib.lrp.Explainer"
        )
    key = job_key(case, model, target) + (" with explorer" if explorer else "")
    done = _facts(folder)
    before = done.get("key") == key
    if not before:
        if folder.exists() and not done:
            raise FileExistsError(
                f"{folder} exists and holds no score.json of this command: it is left "
                "as it is; name another folder"
            )
        whole = takes_volumes(model)
        if whole and explorer:
            raise ValueError("an explorer shows slices, and this model takes volumes")
        found: Any = (explain_volume if whole else explain_case)(case, model, target)
        with whole_or_absent(folder, replace=True) as beside:
            beside.mkdir()
            if whole:
                write_volume(found, beside, key)
            else:
                write_explained(found, beside, key, explorer)
        done = _facts(folder)
    overall = done["overall"]
    return {
        "case": case.id,
        "predicted": overall["predicted"],
        **{f"p_{name}": p for name, p in overall["probabilities"].items()},
        **{name: overall[name] for name in _TOLD if name in overall},
        "done_before": before,
    }


def _facts(folder: Path) -> dict:
    """What an earlier run wrote of a case, or nothing."""
    try:
        facts = json.loads((folder / "score.json").read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and "key" in facts else {}
