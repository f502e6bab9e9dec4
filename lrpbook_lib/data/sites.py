"""What the site tells of the grade: counts, and how far nothing else is needed."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from lrpbook_lib.data.cases.tables import site_of

_UNTOLD = "(not told)"


def site_facts(mapping: pd.DataFrame, seed: int = 0) -> dict[str, Any]:
    """What the source site tells of the grade in a name_mapping table: counts only.

    Parameters
    ----------
    mapping
        The table as :func:`~lrpbook_lib.data.read_table` gives it.

    Returns
    -------
    dict
        ``sites`` (site to ``[HGG, LGG]`` patients; newcomers of BraTS 2020, without a
        site in any id, are ``(not told)``), and ``auc``, ``balanced_accuracy`` and
        ``patients`` of :func:`site_predicts_grade`.
    """
    ids = mapping.filter(["BraTS_2019_subject_ID", "BraTS_2018_subject_ID"])
    site = ids.map(site_of).bfill(axis=1).iloc[:, 0].fillna(_UNTOLD)
    patients = pd.DataFrame({"site": site, "grade": mapping["Grade"]})
    patients = patients[patients["grade"].isin(["HGG", "LGG"])]
    counts = pd.crosstab(patients["site"], patients["grade"])
    counts = counts.reindex(columns=["HGG", "LGG"], fill_value=0)
    # In order, so that the folds do not depend on that of the rows.
    told = patients[patients["site"] != _UNTOLD].sort_values(["site", "grade"])
    return {
        "sites": counts.T.to_dict("list"),
        **site_predicts_grade(told["site"], told["grade"], seed),
    }


def site_predicts_grade(
    site: Iterable[str], grade: Iterable[str], seed: int = 0, folds: int = 5
) -> dict[str, float]:
    """How well nothing but the site predicts the grade, cross-validated.

    A logistic regression on one-hot sites, one row a patient, stratified folds.

    Returns
    -------
    dict
        ``auc`` and ``balanced_accuracy`` of the out-of-fold predictions, and the
        number of ``patients``.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    x = np.asarray(list(site), dtype=object)[:, None]
    y = (np.asarray(list(grade)) == "HGG").astype(int)
    model = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(class_weight="balanced"),
    )
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    chance = cross_val_predict(model, x, y, cv=splits, method="predict_proba")[:, 1]
    return {
        "auc": float(roc_auc_score(y, chance)),
        "balanced_accuracy": float(balanced_accuracy_score(y, chance > 0.5)),
        "patients": len(y),
    }
