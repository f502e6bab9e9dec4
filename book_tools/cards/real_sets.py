"""Data cards of the real sets: what was counted, the terms, and what to mind.

Counting needs the files, a card only the counts: a reader without the data sees the
same page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RealSet:
    """What no file says of itself.

    Attributes
    ----------
    what
        A sentence.
    source
        Who published it, with links.
    terms
        The license, and what follows for this book.
    how
        How to get it.
    mind
        Traps, a sentence each.
    """

    what: str
    source: str
    terms: str
    how: str
    mind: tuple[str, ...]


_BRATS = (
    "[Menze et al. 2015](https://doi.org/10.1109/TMI.2014.2377694), "
    "[Bakas et al. 2017](https://doi.org/10.1038/sdata.2017.117), "
    "[Bakas et al. 2018](https://doi.org/10.48550/arXiv.1811.02629)"
)
_SITE = (
    "Most sites sent one grade only, so that a model that knows the scanner knows the "
    "grade: report patients at random *and* held-out sites."
)
_LGG = (
    "LGG means the lower grades of TCGA, WHO II and III; HGG means glioblastoma. It is "
    "not WHO low grade against high grade."
)

REAL_SETS: dict[str, RealSet] = {
    "Cheng": RealSet(
        "Slices of gliomas, meningiomas and pituitary tumors in T1 with contrast "
        "agent, with the tumor outlined by hand: every other block of the published "
        "slices, reduced in size.",
        "[Cheng et al. 2015](https://doi.org/10.1371/journal.pone.0140381), "
        "[figshare](https://doi.org/10.6084/m9.figshare.1512427)",
        "CC BY 4.0: images may be shown where the authors are named.",
        "`python data_scripts/fetch_cheng.py` fetches the original, in full.",
        (
            "The names of the patients are in the original files, not in this one: "
            "blocks of neighbors stand in for them. A patient may lie in two blocks, "
            "and intervals by block are no intervals by patient.",
            "Slices are axial, coronal and sagittal, and nothing says which.",
            "The skull is on; `brain` is the head.",
            "Three types of tumor are told apart, not grades.",
        ),
    ),
    "TCGA-LGG": RealSet(
        "Slices with tumor of patients with lower-grade gliomas: T1 before and after "
        "contrast agent and FLAIR, with the FLAIR abnormality outlined by hand, "
        "reduced in size.",
        "[Buda et al. 2019](https://doi.org/10.1016/j.compbiomed.2019.05.002), from "
        "the Cancer Genome Atlas at TCIA",
        "CC BY-NC-SA 4.0: numbers only in this book, no images.",
        "`python data_scripts/fetch_kaggle.py` tells how to fetch the whole set.",
        (
            "Some patients lack a contrast, and their files repeat FLAIR in its place; "
            "the report of the slice set names them.",
            "WHO grades II and III look alike on a slice: expect an accuracy near "
            "chance. The set is worth its outlines, not its labels.",
            "More than half of the patients of the whole set are LGG patients of BraTS "
            "as well: never train on one and test on the other.",
            "Intensities are 8 bits, and each slice is its own measure.",
        ),
    ),
    "BraTS 2018": RealSet(
        "Volumes of patients with glioma before surgery: T1, T1 with contrast agent, "
        "T2 and FLAIR on one grid, skull-stripped, with regions of the tumor outlined.",
        _BRATS,
        "For research, with citation; not to be passed on: numbers and contours only "
        "in this book, no images.",
        "`python data_scripts/fetch_synapse.py` and `fetch_kaggle.py` tell how to "
        "fetch what is still served.",
        (
            _LGG,
            _SITE,
            "So few cases show that the code runs on real files; no rate can be "
            "estimated from them.",
        ),
    ),
    "BraTS tables": RealSet(
        "The tables that come with BraTS 2019 and 2020: grade, and the ids of each "
        "patient in every release.",
        _BRATS,
        "For research, with citation; counts only in this book.",
        "They lie in the archives of the releases.",
        (
            _LGG,
            _SITE,
            "The site stands inside the ids of 2017 to 2019 alone; newcomers of 2020 "
            "have none.",
        ),
    ),
    "BraTS 2020 slices": RealSet(
        "One axial slice in T1 with contrast agent of each patient but one of BraTS "
        "2020, near the largest cut through the brain, wherever the tumor is.",
        _BRATS,
        "For research, with citation; not to be passed on: numbers only in this book.",
        "Cut from the release; grades and sites are those of its table.",
        (
            _LGG,
            _SITE,
            "No masks: nothing can be guided or scored on it. It answers questions of "
            "grade and site.",
            "Each slice is scaled by its own brightest voxel, to 8 bits.",
            "Newcomers of 2020 are of a site that nobody tells: leave them out where "
            "sites are held out.",
        ),
    ),
}


def real_data_card(name: str, facts: Mapping[str, Any]) -> str:
    """A data card of a real set in Markdown.

    Parameters
    ----------
    name
        One of ``REAL_SETS``.
    facts
        From :func:`~book_tools.cards.real_facts`, now or when they were stamped.
    """
    if name not in REAL_SETS:
        raise KeyError(f"{name!r} is no real set; there are {', '.join(REAL_SETS)}")
    about = REAL_SETS[name]
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    mind = "\n".join(f"- {sentence}" for sentence in about.mind)
    return f"""\
{about.what} **Not for clinical use.**

| | |
|---|---|
| Source | {about.source} |
| Terms | {about.terms} |
| How to get it | {about.how} |

**Counted** (median, and the whole range in brackets)

| | |
|---|---|
{rows}

**Mind**

{mind}
"""
