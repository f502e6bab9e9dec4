"""What counterfactual twins tell of a network: does it follow the tumor or the scanner?

Of each person there are twins of either grade at every site, all else equal: see
``twins`` of :class:`~lrpbook_lib.data.PhantomSettings`. Whatever changes the answer
between twins is a cause of it, and no correlation of the cohort can pass for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lrpbook_lib.data import twin_facts
from lrpbook_lib.data.phantom.scanner import SITES

from .comparison import compare
from .metrics import ratio, weighted_auc

#: Main effects of the layout: the column of each, by the name of its share.
FACTORS = {"by_grade": "grade", "by_scanner": "site", "by_person": "person"}


def compare_twins(
    arms: Mapping[str, Sequence[pd.DataFrame]],
    against: str | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """What each arm's networks follow, and how it differs from one of the arms.

    As :func:`~lrpbook_lib.training.compare`, whose columns it has: means over runs of
    what :func:`twin_measures` tells; each draw takes runs and people with replacement,
    the same people in every arm.

    Parameters
    ----------
    arms : mapping of str to sequence of DataFrame
        The predictions of each run on the same twins (see
        :meth:`~lrpbook_lib.training.Trainer.predict`).
    against, level, draws, seed
    """
    tables = {arm: [twin_table(run) for run in runs] for arm, runs in arms.items()}
    return compare_twin_tables(tables, against, level, draws, seed)


def compare_twin_tables(
    arms: Mapping[str, Sequence[pd.DataFrame]],
    against: str | None = None,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """As :func:`compare_twins`, of tables that :func:`twin_table` has made."""
    drawn = (level, draws, seed)
    table = compare(arms, against, (), *drawn, by="person", measure=twin_measures)
    return table.assign(protocol="twins")


def twin_table(predictions: pd.DataFrame) -> pd.DataFrame:
    r"""One row a twin, from predictions on the slices of all twins.

    Parameters
    ----------
    predictions : DataFrame
        A row a slice, of :meth:`~lrpbook_lib.training.Trainer.predict`.

    Returns
    -------
    DataFrame
        ``person``, ``grade``, ``site``, ``label``, and the means over the slices of the
        twin: ``logit`` (:math:`\log p_1 / p_0`, towards HGG), ``score``, ``chance``.
    """
    p = predictions[["p_0", "p_1"]].clip(np.finfo(float).tiny)
    told = predictions[["label", "score", "chance"]].reset_index(drop=True)
    told["logit"] = np.log(p["p_1"] / p["p_0"]).to_numpy()
    slices = pd.concat([twin_facts(predictions), told], axis=1)
    twins = slices.groupby(["person", "grade", "site"], as_index=False).mean()
    count = twins.groupby("person").size()
    wanted = 2 * twins["site"].nunique()
    if len(lacking := count[count != wanted]):
        raise ValueError(
            f"Of person {lacking.index[0]} there are {lacking.iloc[0]} twins, not "
            f"{wanted}: predict all slices that were made with twins."
        )
    return twins


def twin_measures(twins: pd.DataFrame, weight: np.ndarray) -> dict[str, np.ndarray]:
    r"""What a network follows, under each of several weights of the people.

    All twins are there, so the sum of squares of the logit :math:`y` falls apart into
    those of the factors :math:`f` with levels :math:`l`, and a rest (interactions, and
    what else there is): analysis of variance, Fisher 1925 (``fisher1925``).

    .. math:: \sum (y - \bar y)^2 =
              \sum_f \sum_l n_{f,l} (\bar y_{f,l} - \bar y)^2 + \text{rest}

    A share is one of these over the whole. Of noise alone each factor gets its degrees
    of freedom: of 30 people 0.2 % by grade, 1.4 % by scanner, 7 % by person.

    Parameters
    ----------
    twins : DataFrame
        From :func:`twin_table`.
    weight : ndarray of shape (draws, N)
        How often each row counts: all twins of a person as often.

    Returns
    -------
    dict of str to ndarray of shape (draws,)
        ``by_grade``, ``by_scanner``, ``by_person``, ``by_rest``: shares of the logit's
        variance, NaN where it has none. ``auc_against_scanner``: AUC of the tumor's
        grade among the twins whose scanner stands at a site that treats the other
        grade only; 1 follows the tumor, 0 the scanner, and 0.5 neither. ``score`` and
        ``chance``: means.
    """
    logit = twins["logit"].to_numpy()
    found = variance_shares(twins, weight, FACTORS)
    treats = twins["site"].map({site.name: site.grades for site in SITES})
    against = ((treats != "mixed") & (treats != twins["grade"])).to_numpy()
    found["auc_against_scanner"] = weighted_auc(
        twins["label"].to_numpy()[against] == 1, logit[against], weight[:, against]
    )
    for column in ("score", "chance"):
        values = weight @ twins[column].to_numpy()
        found[column] = ratio(values, weight.sum(1))
    return found


def variance_shares(
    table: pd.DataFrame, weight: np.ndarray, factors: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Shares of the variance of ``logit`` by main effects of a balanced layout.

    Parameters
    ----------
    table : DataFrame
        ``logit``, and the columns of the factors: all their combinations.
    weight : ndarray of shape (draws, N)
    factors : mapping of str to str
        The column of each, by the name of its share.

    Returns
    -------
    dict of str to ndarray of shape (draws,)
        One a factor, and ``by_rest``.
    """
    # From the first row on: a network that says one thing only varies by zero exactly.
    logit = table["logit"].to_numpy() - table["logit"].iloc[0]
    mean = ratio((weight @ logit) ** 2, weight.sum(1))
    total = weight @ logit**2 - mean
    found: dict[str, np.ndarray] = {}
    for name, factor in factors.items():
        member = pd.get_dummies(table[factor]).to_numpy(float)
        sums, count = weight @ (logit[:, None] * member), weight @ member
        squares = np.nan_to_num(ratio(sums**2, count)).sum(1)
        found[name] = ratio(squares - mean, total)
    found["by_rest"] = 1 - np.sum(list(found.values()), axis=0)
    return found
