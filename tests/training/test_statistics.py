"""Intervals against scipy, and against what clustering must do to them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lrpbook_lib.training import bootstrap_interval


def table(values, patients):
    return pd.DataFrame({"value": values, "patient": patients})


def test_one_slice_a_patient_is_the_ordinary_bootstrap():
    rng = np.random.default_rng(0)
    values = rng.normal(size=40)
    found = bootstrap_interval(table(values, range(40)), "value", draws=20_000)
    want = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=1
    ).confidence_interval
    assert found.estimate == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((want.low, want.high), abs=0.02)
    assert found.patients == 40
    assert str(found) == f"{found.estimate:.3g} [{found.low:.3g}, {found.high:.3g}]"


def test_copies_of_a_slice_add_no_certainty():
    rng = np.random.default_rng(1)
    values = rng.normal(size=20)
    once = bootstrap_interval(table(values, range(20)), "value")
    often = bootstrap_interval(
        table(np.repeat(values, 10), np.repeat(range(20), 10)), "value"
    )
    assert (often.low, often.high) == pytest.approx((once.low, once.high))
    naive = bootstrap_interval(table(np.repeat(values, 10), range(200)), "value")
    assert naive.high - naive.low < 0.5 * (often.high - often.low)


def test_a_function_does_what_a_column_does():
    rng = np.random.default_rng(2)
    frame = table(rng.normal(size=30), rng.integers(8, size=30))
    one = bootstrap_interval(frame, "value", draws=200)
    other = bootstrap_interval(frame, lambda t: t["value"].mean(), draws=200)
    assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_what_cannot_be_drawn_from():
    one = table([0.0, 1.0], ["a", "b"])
    with pytest.raises(KeyError, match="no column 'site'"):
        bootstrap_interval(one, "value", by="site")
    with pytest.raises(ValueError, match=r"level=95"):
        bootstrap_interval(one, "value", level=95)
    with pytest.raises(ValueError, match="empty"):
        bootstrap_interval(one.iloc[:0], "value")
