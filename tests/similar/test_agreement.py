"""Agreement and homogeneity, counted one neighbor at a time."""

from itertools import permutations

import numpy as np
import pytest

from lrpbook_lib.similar import SimilarCases, agreement, homogeneity

from .small import LAYERS, cohort, small_net


@pytest.fixture(scope="module")
def answered():
    atlas = cohort(12)
    query = atlas.subset(np.arange(0, 36, 3))
    cases = SimilarCases(small_net(), LAYERS, k=4)
    found = cases.fit(atlas, cohort(6, seed=1, first=50)).query(query)
    return atlas, query, found


def of(slices, what):
    return slices.labels if what == "grade" else getattr(slices, what)


@pytest.mark.parametrize(
    ("what", "within"), [("grade", None), ("site", None), ("site", "grade")]
)
def test_agreement_is_counted_right(answered, what, within):
    atlas, query, found = answered
    table = agreement(found, query, what, within)
    for row in table.itertuples():
        i = row.query
        foreign = atlas.patient != query.patient[i]
        near = np.zeros(len(atlas), bool)
        near[found.neighbors[row.layer][i]] = True
        if within:
            foreign &= of(atlas, within) == of(query, within)[i]
        same = of(atlas, what) == of(query, what)[i]
        assert row.share == pytest.approx(same[near & foreign].mean())
        assert row.chance == pytest.approx(same[foreign].mean())
        assert row.lift == pytest.approx(row.share - row.chance)
        assert row.patient == query.patient[i] and row.site == query.site[i]
    if within is None:
        assert len(table) == len(LAYERS) * len(query)


@pytest.mark.parametrize(
    ("what", "within"),
    [("grade", None), ("site", None), ("patient", None), ("site", "grade")],
)
def test_homogeneity_is_counted_right(answered, what, within):
    atlas, query, found = answered

    def pairs(rows):
        """Whether each pair that counts shares the thing, by group."""
        return [
            (
                of(atlas, within)[a] if within else 0,
                of(atlas, what)[a] == of(atlas, what)[b],
            )
            for a, b in permutations(rows, 2)
            if what == "patient" or atlas.patient[a] != atlas.patient[b]
            if not within or of(atlas, within)[a] == of(atlas, within)[b]
        ]

    table = homogeneity(found, query, what, within)
    assert len(table) > len(LAYERS)
    for row in table.iloc[::5].itertuples():
        near = pairs(found.neighbors[row.layer][row.query])
        assert row.share == pytest.approx(np.mean([same for _, same in near]))
        rest = pairs(np.flatnonzero(atlas.patient != query.patient[row.query]))
        chance = {g: np.mean([s for h, s in rest if h == g]) for g, _ in rest}
        assert row.chance == pytest.approx(np.mean([chance[g] for g, _ in near]))


def test_where_a_site_has_one_grade_agreement_within_the_site_says_nothing(answered):
    _, query, found = answered  # sites go by patient number, and so do grades
    table = agreement(found, query, "grade", within="site")
    assert (table["share"] == 1).all() and (table["chance"] == 1).all()
    assert len(table) < len(LAYERS) * len(query)  # no neighbor of the site: left out


def test_what_cannot_be_counted(answered):
    atlas, query, found = answered
    with pytest.raises(ValueError, match="'age' is unknown"):
        agreement(found, query, "age")
    with pytest.raises(ValueError, match="'patient' is unknown"):
        agreement(found, query, "patient")  # never shared, by construction
    with pytest.raises(ValueError, match="12 slices were queried, not 36"):
        agreement(found, atlas, "grade")
    alone = SimilarCases(small_net(), "classifier.2", k=1).fit(cohort(12)).query(query)
    with pytest.raises(ValueError, match="two neighbors"):
        homogeneity(alone, query, "site")
    homeless = cohort(12)
    homeless.table["site"][:] = ""
    lost = SimilarCases(small_net(), "classifier.2").fit(homeless).query(query)
    with pytest.raises(ValueError, match="does not know the site"):
        agreement(lost, query, "site")
