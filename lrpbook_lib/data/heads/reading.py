"""Heads on disk: folders laid out as BIDS says, one's own or synthetic; OASIS maps.

The same reader serves all: a T1w image a person, ``participants.tsv`` with the groups,
and beside the images, or in ``derivatives``, masks, tissue maps and registered images.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from lrpbook_lib.data.cases.case import CaseList, Problem
from lrpbook_lib.data.cases.finding import find_cases
from lrpbook_lib.data.cases.readers import NII, Reader
from lrpbook_lib.data.cases.tables import Record, Table, told
from lrpbook_lib.data.heads.knobs import GROUPS, SPACES

#: Words of participants' tables for the groups, in lower case.
_WORDS = {
    "CN": ("cn", "nc", "hc", "control", "controls", "healthy", "normal", "nondemented"),
    "AD": ("ad", "dementia", "demented", "alzheimer", "alzheimer's disease", "patient"),
}
_BY_WORD = {word: group for group, words in _WORDS.items() for word in words}
#: Columns that may tell the group, the first that does counts.
_COLUMNS = ("group", "diagnosis", "dx", "dx_group", "cdr")
#: The spaces' names in BIDS, as regular expressions.
_NAMES = {
    "native": r"^(orig|native|T1w)?$",
    "linear": r"^MNI152Lin",
    "nonlinear": r"^(MNI152NLin|MNI305|OASISTRT|IXI)",
}


def group_of(row: Mapping[str, str]) -> str | None:
    """The group that a row of a table tells: ``"CN"``, ``"AD"`` or nothing.

    A clinical dementia rating (``CDR``) of zero is CN, and above zero AD, as with
    OASIS. Other words, such as MCI, are no group of these.
    """
    lower = {column.strip().lower(): value.strip() for column, value in row.items()}
    for column in _COLUMNS:
        text = lower.get(column, "")
        if not told(text):
            continue
        if column != "cdr":
            return _BY_WORD.get(text.lower())
        try:
            return "AD" if float(text) > 0 else "CN"
        except ValueError:
            return None
    return None


def _people(ids: str) -> Any:
    def records(table: pd.DataFrame) -> Iterable[tuple[str, Record]]:
        for row in table.to_dict("records"):
            named = row[ids].strip()
            lower = {str(k).lower(): v for k, v in row.items()}
            facts: dict[str, Any] = {}
            if group := group_of(row):
                facts["group"] = group
            for fact, column in (("age", "age"), ("sex", "sex"), ("sex", "m/f")):
                if told(lower.get(column, "")):
                    facts[fact] = lower[column].strip()
            yield named, Record(site=lower.get("site") or None, facts=facts)

    return records


PARTICIPANTS = Table(("participant_id",), _people("participant_id"))
OASIS_TABLE = Table(("ID", "CDR"), _people("ID"))


@dataclass(frozen=True)
class HeadReader(Reader):
    """Heads named as BIDS names them, in one space."""

    name: str = "BIDS T1w"
    file: str = (
        r"(?:^|/)(?P<case>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)"
        r"(?P<token>(?:_[A-Za-z]+-[A-Za-z0-9]+)*_(?:T1w|mask|probseg|dseg))" + NII
    )
    channels: tuple[str, ...] = ("t1", "brain", "gray", "white", "regions")
    needs: tuple[str, ...] | None = ("t1",)
    patient: str = r"(sub-[A-Za-z0-9]+)"
    label: str = "group"
    classes: tuple[str, ...] = GROUPS
    stripped: bool = False
    tables: tuple[Table, ...] = (PARTICIPANTS,)
    space: str = "native"  #: one of :data:`~lrpbook_lib.data.heads.knobs.SPACES`

    own_folder: ClassVar[bool] = False
    placed: ClassVar[bool] = True

    def holds(self, token: str) -> Mapping[str, int]:
        """What a file is, by the entities in its name; nothing in another space."""
        pairs = dict(re.findall(r"_([A-Za-z]+)-([A-Za-z0-9]+)", token))
        suffix = token.rpartition("_")[2]
        if not re.search(_NAMES[self.space], pairs.get("space", "")):
            return {}
        if suffix == "T1w":  # masks lie on the grid of what was processed
            return {"t1": 0 if pairs.get("desc") == "preproc" else 1}
        if suffix == "mask":
            return {"brain": 0} if pairs.get("desc", "brain") == "brain" else {}
        if suffix == "probseg":
            kinds = {"GM": "gray", "WM": "white"}
            return {kinds[k]: 0} if (k := pairs.get("label", "")) in kinds else {}
        return {"regions": 0} if pairs.get("desc") == "regions" else {}


@dataclass(frozen=True)
class OasisMaps(HeadReader):
    """Gray and white matter of OASIS-1, as nilearn's ``fetch_oasis_vbm`` keeps them."""

    name: str = "OASIS-1 VBM"
    file: str = (
        r"(?:^|/)(?P<token>mwr?c[12])(?P<case>OAS1_\d+_MR\d+)_mpr_anon_\w+" + NII
    )
    channels: tuple[str, ...] = ("gray", "white")
    needs: tuple[str, ...] | None = ("gray",)
    patient: str = r"(OAS1_\d+)_MR\d+"
    tables: tuple[Table, ...] = (OASIS_TABLE,)
    space: str = "nonlinear"

    def holds(self, token: str) -> Mapping[str, int]:
        """By the first letters."""
        return {"gray" if token[-1] == "1" else "white": 0}


def find_heads(
    root: str | os.PathLike[str],
    space: str = "native",
    *,
    labeled: bool = True,
    **how: Any,
) -> CaseList:
    """Find whole heads below a folder, in one space.

    Two layouts are known: BIDS, with registered images and masks in ``derivatives``
    (those of fMRIPrep, e.g., are found), and the maps of ``fetch_oasis_vbm``. Groups
    come from ``participants.tsv`` (columns ``group``, ``diagnosis``, ``dx`` or ``cdr``)
    or from ``oasis_cross-sectional.csv``.

    Parameters
    ----------
    root
        Folder of people's own copy of ADNI or OASIS, or of
        :func:`~lrpbook_lib.data.make_heads`.
    space : {"native", "linear", "nonlinear"}
    labeled
        Leave out those whom no table gives a group, and tell of it.
    **how
        Of :func:`~lrpbook_lib.data.find_cases`, such as ``tables`` or ``thorough``.

    Returns
    -------
    CaseList
        With ``.problems``: one line each for what was left out.
    """
    if space not in SPACES:
        raise ValueError(
            f"space={space!r} is unknown; it is one of {', '.join(SPACES)}"
        )
    releases = [HeadReader(space=space)]
    releases += [OasisMaps()] if space == "nonlinear" else []
    found = find_cases(root, releases=releases, **how)
    if not labeled:
        return found
    without = [case for case in found if case.label is None]
    problems = [
        Problem(
            case.id,
            case.release,
            "no group",
            f"no table gives {case.id} a group: participants.tsv wants a row with it, "
            f"and {' or '.join(GROUPS)} in its column group",
        )
        for case in without
    ]
    kept = [case for case in found if case.label is not None]
    return CaseList(kept, [*found.problems, *problems])
