"""The ledger: conservation of relevance, measured layer by layer.

A rule that redistributes everything sends on exactly what it gets. Where it does not,
the ledger says who took the rest: the bias, the stabilizer of a denominator, or neither
(``unexplained``, which should be rounding only). It also raises an alarm where a
denominator degenerates, so that a rule can no longer say where relevance came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from .rule import Rule
from .steps import EPSILON, stabilize

if TYPE_CHECKING:
    from .explainer import Explainer

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
    """Stands in for every redistribution of the program, and keeps the books."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def __call__(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Tensor:
        out = function(*args, **kwargs)
        R = kwargs["R"]
        row, new = self.rows.get(name, {}), name not in self.rows
        if new:
            row = self.rows[name] = {
                "layer": name,
                "rule": _shown(function),
                "relevance_out": _total(R),
                "relevance_in": 0.0,
                "bias": 0.0,
                "stabilizer": 0.0,
                "degenerate": 0.0,
                "size": float(R.abs().sum()),
            }
        row["relevance_in"] += _total(out)
        if isinstance(function, Rule):
            _book(row, *function.absorbed(*args, **kwargs))
        elif new:
            _book(row, *_absorbed_in_sum(**kwargs))
        return out


def _book(row: dict[str, Any], bias: Tensor, stabilizer: Tensor, weak: Tensor) -> None:
    row["bias"] += _total(bias)
    row["stabilizer"] += _total(stabilizer)
    row["degenerate"] += _total(weak)


def _absorbed_in_sum(R: Tensor, a: Tensor, z: Tensor, **more: Any) -> tuple:
    """What a sum keeps: the constant's share as bias, and the stabilizer's."""
    if "dims" in more:  # a mean divides by the sum, not by itself
        dims, kept = more["dims"], more["keepdim"]
        z = a.sum(dims, keepdim=kept)
    stable = stabilize(z)
    share = R / stable
    constant = more.get("constant")
    bias = R.new_zeros(()) if constant is None else share * constant
    weak = R.abs() * (z.abs() <= EPSILON)
    return bias, share * (stable - z), weak


def _shown(function: Any) -> str:
    return repr(function) if isinstance(function, Rule) else function.__name__


def _total(R: Tensor) -> float:
    return float(R.double().sum())


def ledger(
    explainer: Explainer,
    x: Tensor,
    target: Tensor | int | None = None,
    tolerance: float = 0.01,
) -> pd.DataFrame:
    r"""Relevance that goes into and out of each layer, and who keeps the rest.

    Parameters
    ----------
    explainer : Explainer
    x : Tensor of shape ``(B, *in)``
    target : Tensor, int or None
        As for the explainer. Sums are over the batch.
    tolerance : float
        Share of a layer's relevance that may stand before degenerate denominators (or
        stay unexplained) before the alarm says so.

    Returns
    -------
    DataFrame
        A row a layer in the order of the walk, from the output to the input.
        ``relevance_out`` is the relevance of the layer's output (what the walk brings),
        ``relevance_in`` that of its input (what the walk takes on), and

        .. math:: out = in + bias + stabilizer + unexplained

        holds in every row. ``degenerate`` is the share of :math:`\sum |R|` in front of
        denominators no larger than their stabilizer. A row ``total`` stands last.
    """
    watch = Watch()
    if explainer.check:
        explainer._check(x)
    program = explainer._program((), watched=True)
    start = explainer._start(target, explainer.check)
    begun: list[float] = []

    def started(z: Tensor) -> Tensor:
        R = start(z)
        begun.append(_total(R))
        return R

    with torch.no_grad():
        _, relevance, _ = program(explainer.model, x, started, watch)
    rows = [_closed(row, tolerance) for row in watch.rows.values()]
    rows.append(_summed(rows, begun[0], _total(relevance)))
    return pd.DataFrame(rows, columns=COLUMNS).set_index("layer")


def _closed(row: dict[str, Any], tolerance: float) -> dict[str, Any]:
    size = row.pop("size") or 1.0
    explained = row["relevance_in"] + row["bias"] + row["stabilizer"]
    row["unexplained"] = row["relevance_out"] - explained
    row["degenerate"] = row["degenerate"] / size
    alarms = []
    if row["degenerate"] > tolerance:
        alarms.append(f"{row['degenerate']:.1%} before degenerate denominators")
    grown = abs(row["relevance_in"])
    if abs(row["unexplained"]) > tolerance * max(size, grown):
        alarms.append("unexplained loss")
    row["alarm"] = "; ".join(alarms)
    return row


def _summed(rows: list[dict[str, Any]], begun: float, ended: float) -> dict[str, Any]:
    total: dict[str, Any] = {"layer": "total", "rule": ""}
    total["relevance_out"], total["relevance_in"] = begun, ended
    for key in ("bias", "stabilizer"):
        total[key] = sum(row[key] for row in rows)
    kept = ended + total["bias"] + total["stabilizer"]
    total["unexplained"] = begun - kept
    total["degenerate"] = max((row["degenerate"] for row in rows), default=0.0)
    total["alarm"] = f"{n} alarms" if (n := sum(bool(r["alarm"]) for r in rows)) else ""
    return total
