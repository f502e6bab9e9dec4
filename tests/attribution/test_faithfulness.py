"""What maps say against what answers do: exact where the network is linear."""

import torch

from lrpbook_lib.attribution import (
    faithfulness_correlation,
    imputer,
    infidelity,
    random_map,
)
from lrpbook_lib.models import GliomaCNN

from .small import Linear, noise

BLACK = imputer("mean", value=0)
WEIGHT = noise(2, 8, 8) - 0.5
MODEL = Linear(WEIGHT)
X = noise(30, 2, 8, 8, seed=1)


def correlation(relevance, **settings):
    settings = {"fill": BLACK, "output": "logit", "tile": 2, **settings}
    return faithfulness_correlation(MODEL, X, relevance, 0, **settings)


def test_correlation_of_truth_and_of_chance():
    one = torch.ones(30)
    torch.testing.assert_close(correlation(X * WEIGHT), one)
    torch.testing.assert_close(correlation(-3 * X * WEIGHT, tile=1), -one)
    blind = correlation(random_map(X))
    assert blind.mean().abs() < 0.1 and blind.abs().max() < 0.95
    assert (correlation(torch.ones(30, 1, 8, 8)) == 0).all()  # all sets are equal
    assert (correlation(X * WEIGHT, seed=1) != correlation(X * WEIGHT)).any()
    assert (blind == correlation(random_map(X))).all()


def test_correlation_by_hand():
    model = Linear(torch.tensor([[[3.0, 1], [0, 0]]]))
    x, heat = torch.ones(1, 1, 2, 2), torch.tensor([[[[1.0, 2], [0, 0]]]])
    found = faithfulness_correlation(
        model, x, heat, 0, subsets=4000, share=0.25, tile=1, fill=BLACK, output="logit"
    )
    pairs = torch.tensor([[1.0, 2, 0, 0], [3, 1, 0, 0]])  # one pixel at a time
    assert abs(found - torch.corrcoef(pairs)[0, 1]) < 0.05


def test_infidelity_of_truth_is_zero():
    settings = {"fill": BLACK, "edge": 3}
    zero = torch.zeros(30)
    for relevance, inside in ((X * WEIGHT, True), (WEIGHT.expand_as(X), False)):
        found = infidelity(MODEL, X, relevance, 0, contributions=inside, **settings)
        torch.testing.assert_close(found, zero, rtol=0, atol=1e-9)
    tripled = infidelity(MODEL, X, 3 * X * WEIGHT, 0, scaled=True, **settings)
    torch.testing.assert_close(tripled, zero, rtol=0, atol=1e-9)
    # Twice as much said as lost is as wrong as nothing said.
    nothing = infidelity(MODEL, X, 0 * X, 0, **settings)
    torch.testing.assert_close(
        infidelity(MODEL, X, 2 * X * WEIGHT, 0, **settings), nothing
    )
    scaled = infidelity(MODEL, X, random_map(X), 0, scaled=True, **settings)
    assert (scaled <= nothing + 1e-6).all() and (scaled > 0).all()
    assert (infidelity(MODEL, X, 0 * X, 0, scaled=True, **settings) == nothing).all()


def test_infidelity_by_hand():
    model = Linear(torch.tensor([[[3.0, 1], [0, 0]]]))
    x = torch.ones(1, 1, 2, 2)
    heat = torch.tensor([[[[1.0, 1], [2, 0]]]])
    whole = infidelity(model, x, heat, 0, edge=2, draws=3, fill=BLACK)
    assert whole.tolist() == [0]  # the one square there is: 4 said, 4 lost
    single = infidelity(model, x, heat, 0, edge=1, draws=4000, fill=BLACK)
    assert abs(single - (4 + 0 + 4 + 0) / 4) < 0.1


def test_a_network_in_training_mode_and_volumes():
    torch.manual_seed(0)
    model, x = GliomaCNN(2, 2, 16), noise(3, 2, 16, 16)
    heat = noise(3, 1, 16, 16, seed=2)
    for measure in (faithfulness_correlation, infidelity):
        assert (measure(model, x, heat) == measure(model, x, heat)).all()
    volume = noise(2, 1, 6, 6, 6)
    cube = Linear(volume[0])
    found = faithfulness_correlation(
        cube, volume, volume * volume[:1], 0, fill=BLACK, output="logit"
    )
    torch.testing.assert_close(found, torch.ones(2))
    assert infidelity(cube, volume, volume * volume[:1], 0, fill=BLACK).max() < 1e-8
