"""Shares by region against BiLRP's own factors, one pair at a time."""

import numpy as np
import pytest
import torch

from lrpbook_lib.lrp import BiLRP, Composite, Explainer, Flat
from lrpbook_lib.similar import (
    SHARES,
    SimilarCases,
    block_similarity,
    neighbor_shares,
    pair_shares,
    patient_totals,
)

from .small import LAYERS, cohort, small_net


def image(slices, i):
    return torch.tensor(slices.images[[i]])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rules", ["epsilon-plus", "epsilon"])
def test_shares_are_those_of_the_factors(layer, rules):
    explainer = Explainer(small_net(), rules, at=layer)
    slices, others = cohort(2), cohort(3, seed=1)
    slices.tumor[0] = 0
    pairs = np.array([[4, 7], [1, 2], [4, 0], [0, 5]])
    table = pair_shares(explainer, slices, others, pairs)
    for (i, j), row in zip(pairs, table.to_dict("records"), strict=True):
        pair = BiLRP(explainer)(image(slices, i), image(others, j))
        one, two = (torch.tensor(s.tumor[n] > 0) for s, n in ((slices, i), (others, j)))
        want = {
            "tumor_tumor": pair.share(one, two),
            "tumor_elsewhere": pair.share(one, ~two) + pair.share(~one, two),
            "elsewhere_elsewhere": pair.share(~one, ~two),
        }
        for name in SHARES:
            assert row[name] == pytest.approx(want[name].item(), abs=1e-4)
        assert row["similarity"] == pytest.approx(pair.total.item(), rel=1e-4)
    assert table.loc[3, "tumor_tumor"] == 0  # the first slice has no tumor
    np.testing.assert_allclose(table[list(SHARES)].sum(axis=1), 1)


def test_chance_is_relevance_spread_evenly_over_both_brains():
    slices = cohort(2)
    slices.tumor[3, 1:7] = 2  # all of the second patient's brain, first slice
    explainer = Explainer(small_net(), at="classifier.2")
    table = pair_shares(explainer, slices, slices, np.array([[0, 1], [0, 3]]))
    part = 9 / 48  # three by three pixels of six rows by eight
    assert table.loc[0, "chance_tumor_tumor"] == pytest.approx(part**2)
    want = 2 * part * (1 - part)
    assert table.loc[0, "chance_tumor_elsewhere"] == pytest.approx(want)
    assert table.loc[1, "chance_tumor_tumor"] == pytest.approx(part)
    assert table.loc[1, "chance_elsewhere_elsewhere"] == 0


def test_images_that_share_nothing_have_no_shares():
    model = small_net()
    with torch.no_grad():
        model.classifier[1].bias.fill_(-100)
    explainer = Explainer(model, at="classifier.2")
    table = pair_shares(explainer, cohort(1), cohort(1), np.array([[0, 1]]))
    assert table["similarity"].tolist() == [0]
    assert table[list(SHARES)].isna().all(axis=None)
    assert table.filter(like="chance").notna().all(axis=None)
    images = torch.tensor(cohort(1).images)
    assert not block_similarity(explainer, images[0], images[1:], 4).any()


def test_blocks_of_a_black_background_count_where_a_rule_lights_them():
    flat = Composite(first=Flat())
    explainer = Explainer(small_net(), flat, at="classifier.2")
    x = torch.tensor(cohort(1).images)
    found = block_similarity(explainer, x[0], x[1:2], 8)
    dense = BiLRP(explainer)(x[:1], x[1:2]).dense()
    assert dense[0].abs().sum() > 0  # the first row of pixels is black
    torch.testing.assert_close(found[0], dense, atol=1e-5, rtol=1e-3)


def test_neighbors_are_compared_at_the_layer_they_were_found_at():
    atlas, query = cohort(12), cohort(2, seed=3, first=80)
    cases = SimilarCases(small_net(), LAYERS, k=2).fit(atlas)
    found = cases.query(query)
    table = neighbor_shares(cases, found, query, atlas)
    assert len(table) == len(LAYERS) * len(query) * 2
    for row in table.iloc[::5].to_dict("records"):
        explainer = cases.explainers[row["layer"]]
        pair = BiLRP(explainer)(image(query, row["query"]), image(atlas, row["row"]))
        assert row["similarity"] == pytest.approx(pair.total.item(), rel=1e-4)
        assert row["of"] == query.patient[row["query"]]
        assert row["patient"] == atlas.patient[row["row"]]


def test_totals_are_sums_of_relevance_and_silent_pairs_add_nothing():
    slices = cohort(4)
    explainer = Explainer(small_net(), at="classifier.2")
    table = pair_shares(explainer, slices, slices, np.array([[0, 3], [1, 4], [5, 9]]))
    table = table.assign(of=["P", "P", "Q"])
    table.loc[1, list(SHARES)], table.loc[1, "similarity"] = np.nan, 0.0
    total = patient_totals(table).set_index("of")
    for row, name in ((0, "P"), (2, "Q")):
        for column in SHARES:
            want = table.loc[row, column] * table.loc[row, "similarity"]
            assert total.loc[name, column] == pytest.approx(want)
    assert total[list(SHARES)].sum(axis=1).to_numpy() == pytest.approx(
        total["similarity"].to_numpy()
    )


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("blocks", [4, 3])
def test_blocks_are_sums_of_the_dense_relevance(layer, blocks):
    explainer = Explainer(small_net(), at=layer)
    slices = cohort(1)
    others = torch.tensor(slices.images[1:])
    found = block_similarity(explainer, torch.tensor(slices.images[0]), others, blocks)
    assert found.shape == (2, *[blocks] * 4)
    cut = torch.arange(8) * blocks // 8
    hot = torch.nn.functional.one_hot(cut).float()
    for j in range(2):
        dense = BiLRP(explainer)(image(slices, 0), others[[j]]).dense()
        want = torch.einsum("hwxy,ha,wb,xc,yd->abcd", dense, hot, hot, hot, hot)
        torch.testing.assert_close(found[j], want, atol=1e-5, rtol=1e-3)
    with pytest.raises(ValueError, match="8 x 8 pixels takes 1 to 8"):
        block_similarity(explainer, others[0], others, 9)
