"""What the real sets hold, counted from their files. No patient is named."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lrpbook_lib.data.cases.case import Case, CaseList
from lrpbook_lib.data.cases.finding import find_cases
from lrpbook_lib.data.cases.tables import read_table
from lrpbook_lib.data.samples import SliceSet
from lrpbook_lib.data.sets.brats_t1ce import TABLE, brats_t1ce_slices
from lrpbook_lib.data.sets.cheng import cheng_slices
from lrpbook_lib.data.sets.tcga_lgg import tcga_lgg_slices
from lrpbook_lib.data.sites import site_facts
from lrpbook_lib.data.splits import mixed_sites

#: Where each set is looked for, below :func:`~lrpbook_lib.places.data_home`.
PLACES = {
    "Cheng": "cheng/cheng_128.npz",
    "TCGA-LGG": "tcga_lgg/tcga_lgg_128.npz",
    "BraTS 2018": "brats18",
    "BraTS tables": "tables",
    "BraTS 2020 slices": "brats2020_t1ce/t1ce_slices.npz",
}


def real_facts(name: str, home: Path) -> dict[str, Any]:
    """Count what is in a real set; no patient is named.

    Parameters
    ----------
    name
        One of ``PLACES``.
    home
        From :func:`~lrpbook_lib.places.data_home`.
    """
    path = home / PLACES[name]
    if name == "Cheng":
        return _slice_facts(cheng_slices(path), "blocks")
    if name == "TCGA-LGG":
        return _slice_facts(tcga_lgg_slices(path), "patients")
    if name == "BraTS 2020 slices":
        slices = brats_t1ce_slices(path, table=home / TABLE)
        sites = set(slices.site) - {""}
        both = f"{len(sites)}, of which {len(mixed_sites(slices))} sent both grades"
        return _slice_facts(slices, "patients") | {"sites": both}
    if name == "BraTS 2018":
        return _case_facts(find_cases(path))
    found = {}
    for year in ("2019", "2020"):
        facts = site_facts(read_table(path / f"BraTS{year}_name_mapping.csv"))
        hgg, lgg = np.sum(list(facts["sites"].values()), axis=0).tolist()
        told = {k: v for k, v in facts["sites"].items() if k != "(not told)"}
        found[f"BraTS {year}"] = (
            f"{hgg} HGG and {lgg} LGG patients, {facts['patients']} of them of "
            f"{len(told)} sources, of which {sum(min(v) > 0 for v in told.values())} "
            f"sent both grades; among these patients the site alone predicts the grade "
            f"with AUC {facts['auc']:.3f} and balanced accuracy "
            f"{facts['balanced_accuracy']:.3f}"
        )
    return found


def _slice_facts(slices: SliceSet, groups: str) -> dict[str, Any]:
    tumor, head = (slices.tumor > 0).sum((1, 2)), slices.brain.sum((1, 2))
    classes = {
        name: f"{(mine := slices.labels == label).sum()} of "
        f"{len(set(slices.patient[mine]))} {groups}"
        for label, name in enumerate(slices.classes)
    }
    per_group = list(Counter(slices.patient.tolist()).values())
    share = _spread(tumor / np.maximum(head, 1), "{:.3f}")
    return {
        "slices": f"{len(slices)} of {len(set(slices.patient))} {groups}",
        **{f"class {name}": told for name, told in classes.items()},
        f"slices in one of the {groups}": _spread(per_group, "{:.0f}"),
        "sequences": ", ".join(slices.sequences),
        "size": " x ".join(map(str, slices.images.shape[2:])) + " pixels",
        "tumor, share of the head": share if tumor.any() else "no masks",
        "told by the report": _problems(p["kind"] for p in slices.problems),
    }


def _case_facts(cases: CaseList) -> dict[str, Any]:
    volumes: dict[str, list[float]] = {"core": [], "edema": [], "enhancing": []}
    shapes, spacings = set(), set()
    for case in cases:
        loaded = case.load(case.sequences[:1])
        shapes.add(" x ".join(map(str, loaded["seg"].shape)))
        spacings.add(" x ".join(f"{edge:g}" for edge in loaded.spacing))
        voxel = float(np.prod(loaded.spacing)) / 1000
        for part, value in (("core", 1), ("edema", 2), ("enhancing", 4)):
            volumes[part].append(voxel * int((loaded["seg"] == value).sum()))
    return {
        "cases": f"{len(cases)} of {len({c.patient for c in cases})} patients",
        "grades": _counted(c.grade or "unknown" for c in cases),
        "sites": f"{len({c.site for c in cases})}, of which "
        f"{_both(cases)} sent both grades",
        "sequences": ", ".join(cases[0].sequences),
        "shape": "; ".join(sorted(shapes)) + " voxels",
        "spacing": "; ".join(sorted(spacings)) + " mm",
        **{f"{part}, ml": _spread(ml, "{:.1f}") for part, ml in volumes.items()},
        "told by the report": _problems(p.kind for p in cases.problems),
    }


def _both(cases: Iterable[Case]) -> int:
    grades: dict[str | None, set[str | None]] = {}
    for case in cases:
        grades.setdefault(case.site, set()).add(case.grade)
    return sum({"HGG", "LGG"} <= g for g in grades.values())


def _spread(values: Any, how: str) -> str:
    low, middle, high = np.quantile(np.asarray(values, float), (0, 0.5, 1))
    return f"{how.format(middle)} ({how.format(low)} to {how.format(high)})"


def _counted(values: Iterable[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(Counter(values).items()))


def _problems(kinds: Iterable[str]) -> str:
    return _counted(kinds) or "nothing"
