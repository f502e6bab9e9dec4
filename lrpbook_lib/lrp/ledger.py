"""The ledger: conservation of relevance, measured layer by layer.

A rule that redistributes everything sends on exactly what it gets. Where it does not,
the ledger says who took the rest: the bias, the stabilizer of a denominator, or neither
(``unexplained``, which should be rounding only). It also raises an alarm where a
denominator degenerates, so that a rule can no longer say where relevance came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .branch import Rule
from .numerics import EPSILON, stabilize

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "layer",
    "rule",
    "relevance_out",
    "relevance_in",
    "bias",
    "stabilizer",
    "unexplained",
    "degenerate",
    "alarm",
]


class Watch:
    """Stands in for every redistribution of a program, and keeps the books."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.begun = 0.0

    def start(self, start: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """The same start of relevance, written down."""

        def started(z: Tensor) -> Tensor:
            R = start(z)
            self.begun = _total(R)
            return R

        return started

    def __call__(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Redistribute, and book what went in, came out and stayed."""
        out, R = function(*args, **kwargs), kwargs["R"]
        new, ruled = name not in self.rows, isinstance(function, Rule)
        if new:
            row: dict[str, Any] = dict.fromkeys(COLUMNS, 0.0)
            row |= {"layer": name, "relevance_out": _total(R)}
            row["rule"] = repr(function) if ruled else function.__name__
            self.rows[name] = row | {"size": float(R.abs().sum())}
        row = self.rows[name]
        row["relevance_in"] += _total(out)
        if new or ruled:  # a sum keeps something once, not once for each summand
            kept = getattr(function, "absorbed", _absorbed_in_sum)
            bias, stabilizer, weak = map(_total, kept(*args, **kwargs))
            row["bias"] += bias
            row["stabilizer"] += stabilizer
            row["degenerate"] += weak
        return out

    def table(self, ended: float, tolerance: float) -> pd.DataFrame:
        """The closed books, a row a layer and the total."""
        import pandas as pd

        rows = [_closed(row, tolerance) for row in self.rows.values()]
        total: dict[str, Any] = {"layer": "total", "rule": ""}
        total |= {"relevance_out": self.begun, "relevance_in": ended}
        total |= {key: sum(row[key] for row in rows) for key in ("bias", "stabilizer")}
        kept = ended + total["bias"] + total["stabilizer"]
        total["unexplained"] = self.begun - kept
        total["degenerate"] = max((row["degenerate"] for row in rows), default=0.0)
        alarms = sum(bool(row["alarm"]) for row in rows)
        total["alarm"] = f"{alarms} alarms" if alarms else ""
        return pd.DataFrame([*rows, total], columns=COLUMNS).set_index("layer")


def _absorbed_in_sum(R: Tensor, a: Tensor, z: Tensor, **more: Any) -> tuple:
    """What a sum keeps: the constant's share as bias, and the stabilizer's."""
    if "dims" in more:  # a mean divides by the sum, not by itself
        z = a.sum(more["dims"], keepdim=more["keepdim"])
    stable = stabilize(z)
    share = R / stable
    constant = more.get("constant")
    bias = R.new_zeros(()) if constant is None else share * constant
    return bias, share * (stable - z), R.abs() * (z.abs() <= EPSILON)


def _total(R: Tensor) -> float:
    return float(R.double().sum())


def _closed(row: dict[str, Any], tolerance: float) -> dict[str, Any]:
    size = row["size"] or 1.0
    explained = row["relevance_in"] + row["bias"] + row["stabilizer"]
    unexplained = row["relevance_out"] - explained
    degenerate = row["degenerate"] / size
    alarms = []
    if degenerate > tolerance:
        alarms.append(f"{degenerate:.1%} before degenerate denominators")
    if abs(unexplained) > tolerance * max(size, abs(row["relevance_in"])):
        alarms.append("unexplained loss")
    closed = {"unexplained": unexplained, "degenerate": degenerate}
    return row | closed | {"alarm": "; ".join(alarms)}
