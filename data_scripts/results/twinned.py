"""A table of what networks follow on counterfactual twins, for any result."""

from typing import Any

import pandas as pd

from lrpbook_lib.training import compare_twins

from ..runs import Arms
from ..twins import predict_twins
from .common import pooled, rows

#: People who are drawn with either grade at each of the seven sites.
PEOPLE = 30


def twin_rows(
    arms: Arms, against: str | None = "plain", jobs: int = 0
) -> list[dict[str, Any]]:
    """Shares of the logit's variance and AUC against the scanner, as rows for a file.

    Parameters
    ----------
    arms
        Of finished runs, by name, or by name and cohort: then each cohort by itself and
        all of them, and the column ``cohort`` tells which.
    against
        The arm that the others are compared with.
    """
    predictions = predict_twins(arms, PEOPLE, jobs)
    if not all(isinstance(arm, tuple) for arm in arms):
        return rows(compare_twins(predictions, against))
    parts = {}
    for (arm, cohort), runs in predictions.items():
        parts.setdefault(str(cohort), {})[arm] = runs
    parts["all"] = pooled(predictions)
    tables = [
        compare_twins(part, against).assign(cohort=cohort)
        for cohort, part in parts.items()
    ]
    return rows(pd.concat(tables))
