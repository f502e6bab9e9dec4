"""The colors of figures and widgets; the scripts of a page are handed the same.

They are Okabe and Ito's and their kin, told apart by readers of every color vision.
Relevance is orange where it speaks for an answer and blue where against, brighter where
stronger; regions keep away from both.
"""

from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from lrpbook_lib.explore.levels import plain

#: Arms, models, lines of a chart, in this order.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: More than these can tell apart: the muted colors of Paul Tol.
MANY = (
    *("#332288", "#88CCEE", "#44AA99", "#117733", "#999933"),
    *("#DDCC77", "#CC6677", "#882255", "#AA4499"),
)
GRADES = {"HGG": SERIES[1], "LGG": SERIES[0]}

#: Relevance from weak to strong.
FOR = ("#963400", "#D55E00", "#FFD682")
AGAINST = ("#003E82", "#007DC3", "#96DEFF")
#: What makes two slices alike, and unlike.
SIGNS = {1: FOR[1], -1: AGAINST[1]}

#: Regions of a tumor, by the values of BraTS.
REGIONS = {1: "#56B4E9", 2: "#F0E442", 4: "#FF8AD8"}
REGION_NAMES = {1: "necrotic core", 2: "edema", 4: "enhancing rim"}
#: Any other region, and the tumor as a whole.
OUTLINE = "#FFFFFF"

RELEVANCE = LinearSegmentedColormap.from_list(
    "relevance",
    list(zip((0, 0.25, 0.5, 0.5, 0.75, 1), (*AGAINST[::-1], *FOR), strict=True)),
)

#: What ``web/kit.js`` reads.
SHARED = {"series": SERIES, "for": FOR, "against": AGAINST, "signs": SIGNS}
SHARED |= {"regions": REGIONS, "outline": OUTLINE}


def diverging(middle: str = "#FFFFFF") -> list[tuple[float, str]]:
    """A scale around zero for plotly."""
    return [(0, SIGNS[-1]), (0.5, middle), (1, SIGNS[1])]


def outlines(labels: Any) -> dict[str, np.ndarray]:
    """Color to region ``(H, W)`` bool, for each value of ``labels`` above zero."""
    labels = plain(labels)
    found: dict[str, np.ndarray] = {}
    for value in np.unique(labels[labels > 0]).tolist():
        color = REGIONS.get(int(value), OUTLINE)
        found[color] = (labels == value) | found.get(color, False)
    return found


def regions(labels: np.ndarray) -> list[list]:
    """Value and name of each region there is; a mask of ones is simply the tumor."""
    present = np.unique(labels[labels > 0]).tolist()
    if present in ([], [1]):
        return [[1, "tumor"]]
    return [[value, REGION_NAMES.get(value, f"region {value}")] for value in present]
