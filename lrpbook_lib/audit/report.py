"""What an audit found, as a table and as a page."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from lrpbook_lib.files import whole_or_absent

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Audit of {name}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; background: #fff }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .6rem;
  border-bottom: 1px solid #ccc }}
div {{ overflow-x: auto }}
small {{ color: #555 }}
</style>
<h1>Audit of {name}</h1>
<p>{count} slices of {patients} patients. Brackets hold {level:.0%} of a bootstrap over
patients. No row decides alone: a map in the tumor says where a network looks, and only
what moves the answer says what it uses. For teaching and research; not for clinical
use.</p>
{tables}
{skipped}
<p><small>seed {seed}</small></p>
</html>
"""


@dataclass(frozen=True)
class AuditReport:
    """What :func:`~lrpbook_lib.audit.audit` found.

    Attributes
    ----------
    name
        Of the model.
    table : DataFrame
        A row a measure: ``test``, ``measure``, ``estimate`` with ``low`` and ``high``,
        the ``reference`` and what it is (``beside``), the interval of their difference,
        ``verdict`` in words, ``patients`` that were drawn from.
    slices
        How many were asked about.
    level, seed
    skipped
        What could not be asked, and why.
    """

    name: str
    table: pd.DataFrame
    slices: int
    level: float
    seed: int
    skipped: tuple[str, ...] = ()

    def page(self) -> str:
        """HTML that needs nothing else."""
        tables = "\n".join(
            f"<h2>{escape(str(test))}</h2>\n<div>{_rows(rows)}</div>"
            for test, rows in self.table.groupby("test", sort=False)
        )
        left = "".join(f"<li>{escape(each)}</li>" for each in self.skipped)
        return _PAGE.format(
            name=escape(self.name),
            count=self.slices,
            patients=int(self.table["patients"].iloc[0]),
            level=self.level,
            tables=tables,
            skipped=f"<h2>Not asked</h2><ul>{left}</ul>" if left else "",
            seed=self.seed,
        )

    def write(self, path: str | Path) -> None:
        """The page, and beside it the table as ``.csv``."""
        path = Path(path)
        with whole_or_absent(path, replace=True) as beside:
            beside.write_text(self.page(), "utf-8")
        with whole_or_absent(path.with_suffix(".csv"), replace=True) as beside:
            self.table.to_csv(beside, index=False)

    def _repr_html_(self) -> str:
        return _rows(self.table)


def _rows(table: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "measure": table["measure"],
            "found": [
                f"{e:.2f} [{low:.2f}, {high:.2f}]"
                for e, low, high in zip(
                    table["estimate"], table["low"], table["high"], strict=True
                )
            ],
            "beside": [
                f"{r:.2f}: {b}"
                for r, b in zip(table["reference"], table["beside"], strict=True)
            ],
            "verdict": table["verdict"],
        }
    )
    return shown.to_html(index=False, border=0)
