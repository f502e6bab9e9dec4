"""Composites: which rule goes where.

A composite is a handful of rules and the places they apply to. What is more specific
wins: a layer's name, then first and last, then its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from torch import fx, nn

from .branch import Rule
from .errors import LRPError, unknown_name
from .program import Facts, Place, trace
from .rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, ZBox, ZPlus

if TYPE_CHECKING:
    import pandas as pd

_EPSILON, _PASS = Epsilon(), Pass()
_SHOWN = ("first", "last", "dense", "conv", "norm", "pool", "gate")


@dataclass(frozen=True)
class Composite:
    """Which rule goes where.

    Parameters
    ----------
    dense, conv : Rule
        For linear layers, and for convolutions and transposed ones.
    norm : Rule
        For normalizations that cannot be folded into a layer in front of them.
    pool : Rule
        For average pooling and upsampling. Max pooling is always winner-take-all.
    gate : Rule
        For products of two tensors of the data: the signal takes all under ``Pass``,
        each takes half under ``Half``.
    first, last : Rule, optional
        For the affine layers next to the input, and next to the output.
    names : mapping of str to Rule, optional
        For layers by name; ``*`` and ``?`` are wildcards, as in ``features.*``.

    Examples
    --------
    >>> print(Composite(conv=ZPlus(), first=Flat()))
    Composite
      first  Flat(epsilon=1e-06)
      dense  Epsilon(epsilon=1e-06)
      conv   ZPlus(epsilon=1e-06)
      norm   Pass()
      pool   Epsilon(epsilon=1e-06)
      gate   Pass()
    """

    dense: Rule = _EPSILON
    conv: Rule = _EPSILON
    norm: Rule = _PASS
    pool: Rule = _EPSILON
    first: Rule | None = None
    last: Rule | None = None
    names: Mapping[str, Rule] = field(default_factory=dict)
    gate: Rule = _PASS

    def __post_init__(self) -> None:
        kinds = {key: getattr(self, key) for key in _SHOWN}
        for key, rule in (*kinds.items(), *(("names", r) for r in self.names.values())):
            if not isinstance(rule, Rule | None):
                raise TypeError(
                    f"Composite({key}=...) takes rules such as Epsilon(), not {rule!r}."
                )

    def rule(self, place: Place) -> Rule:
        """The rule for one layer."""
        for pattern, rule in self.names.items():
            if fnmatchcase(place.name, pattern):
                return rule
        if place.kind in ("dense", "conv"):
            if self.first is not None and place.first:
                return self.first
            if self.last is not None and place.last:
                return self.last
        return getattr(self, place.kind)

    def assign(self, facts: Facts) -> dict[fx.Node, Rule]:
        """The rule of every place.

        Raises
        ------
        LRPError
            Where the composite names a layer that the model does not have.
        """
        taken = [place.name for place in facts.places.values()]
        for pattern in self.names:
            if not any(fnmatchcase(name, pattern) for name in taken):
                raise unknown_name("layer with a rule", pattern, taken)
        return {node: self.rule(place) for node, place in facts.places.items()}

    def table(self, model: nn.Module, at: str | None = None) -> pd.DataFrame:
        """Layer and rule for a model, a row a layer."""
        facts = Facts(trace(model), at)
        return rules_table(facts, self.assign(facts))

    def __str__(self) -> str:
        kinds = {key: getattr(self, key) for key in _SHOWN}
        shown = [f"  {name}  {rule!r}" for name, rule in self.names.items()]
        shown += [f"  {key:5}  {rule!r}" for key, rule in kinds.items() if rule]
        return "\n".join(["Composite", *shown])


def rules_table(facts: Facts, rules: Mapping[fx.Node, Rule]) -> pd.DataFrame:
    """Which rule each layer got: a table, a row a layer."""
    import pandas as pd

    rows = []
    for node, rule in rules.items():
        step, front = facts.trace.steps[node], facts.folds.get(node)
        shown = repr(rule) if front is None else f"folded into {front.name}"
        rows.append({"layer": step.name, "type": step.type_name, "rule": shown})
    return pd.DataFrame(rows, columns=["layer", "type", "rule"]).set_index("layer")


_PLUS = Composite(conv=ZPlus())
_ALPHA_BETA = Composite(conv=AlphaBeta(2.0, 1.0))

#: The named presets. Those of zennit (Anders et al. 2021, ``anders2021zennit``) under
#: its names. ``epsilon-gamma`` is gamma on convolutions and epsilon on dense layers
#: (Montavon et al. 2019, ``montavon2019``); its first layer is like the others: in its
#: generalized form gamma takes signed inputs, and no bounds of theirs need be known as
#: for ``epsilon-gamma-box``. ``zplus`` is Graz+ (Tinauer et al. 2022, ``tinauer2022``),
#: z-plus all the way down. The two ``sefcik`` ones are what the code of Sefcik &
#: Benesova 2021 (``sefcik2021``) ran: experiment 1 the epsilon rule with epsilon = 1 in
#: every layer, experiment 2 that on dense layers and alpha 2, beta 1 on convolutions.
COMPOSITES: dict[str, Composite] = {
    "epsilon": Composite(),
    "epsilon-plus": _PLUS,
    "epsilon-plus-flat": replace(_PLUS, first=Flat()),
    "epsilon-alpha2-beta1": _ALPHA_BETA,
    "epsilon-alpha2-beta1-flat": replace(_ALPHA_BETA, first=Flat()),
    "epsilon-gamma": Composite(conv=Gamma(0.25)),
    "epsilon-gamma-box": Composite(conv=Gamma(0.25), first=ZBox(0.0, 1.0)),
    "zplus": Composite(dense=ZPlus(), conv=ZPlus()),
    "sefcik-epsilon": Composite(dense=Epsilon(1.0), conv=Epsilon(1.0)),
    "sefcik-alpha2-beta1": Composite(dense=Epsilon(1.0), conv=AlphaBeta(2.0, 1.0)),
}


def composite_named(composite: str | Composite) -> Composite:
    """A composite by its name, or as it is."""
    if isinstance(composite, Composite):
        return composite
    if isinstance(composite, str):
        if composite not in COMPOSITES:
            raise unknown_name("composite", composite, COMPOSITES)
        return COMPOSITES[composite]
    raise LRPError(
        f"composite is {composite!r}; it takes a Composite(...) or one of the names "
        f"{', '.join(COMPOSITES)}."
    )
