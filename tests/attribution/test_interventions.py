"""Effects of erasing regions, on a network that adds up pixels."""

import pytest
import torch

from lrpbook_lib.attribution import control_regions, effects_of_erasing, imputer
from lrpbook_lib.models import GliomaCNN

from .small import Linear, noise

BLACK = imputer("mean", value=0)


def test_mirror_and_elsewhere():
    brain = torch.zeros(2, 6, 10)
    brain[0, :, 1:9] = 1  # midline at 4.5
    brain[1, :, 3:10] = 1  # midline at 6
    tumor = torch.zeros(2, 6, 10)
    tumor[0, 2, 1:3] = 4
    tumor[1, 2:4, 5:9] = 1  # reaches over the midline: 5, 6, 7 are their own mirror
    regions = control_regions(tumor, brain)
    want = torch.zeros(2, 6, 10, dtype=torch.bool)
    want[0, 2, 7:9] = True
    want[1, 2:4, 4] = True
    assert (regions["region"] == (tumor > 0)).all()
    assert (regions["mirror"] == want).all()
    turned = control_regions(tumor.mT, brain.mT, axis=-2)["mirror"]
    assert (turned.mT == want).all()
    other = regions["elsewhere"]
    assert (other.sum((1, 2)) == (tumor > 0).sum((1, 2))).all()
    assert not (other & (tumor > 0)).any() and not (other & (brain == 0)).any()
    assert (other == control_regions(tumor, brain)["elsewhere"]).all()
    moved = [control_regions(tumor, brain, seed=s)["elsewhere"] for s in range(5)]
    assert any((each != other).any() for each in moved)
    single = control_regions(tumor[:, None], brain[:, None])
    assert all((single[name] == regions[name]).all() for name in regions)


def test_elsewhere_is_one_piece_and_no_larger_than_the_brain():
    brain = torch.ones(1, 9, 9, 9)
    tumor = torch.zeros(1, 9, 9, 9)
    tumor[0, 0:3, 0:3, 0:3] = 1
    place = control_regions(tumor, brain, axis=1)["elsewhere"][0].nonzero().float()
    assert len(place) == 27 and (place - place.mean(0)).norm(dim=1).max() < 4
    tumor[0, 2:] = 1
    rest = control_regions(tumor, brain, axis=1)["elsewhere"]
    assert (rest == (tumor == 0)).all()


def test_effect_by_hand():
    weight = torch.zeros(1, 4, 6)
    weight[0, 1, 1], weight[0, 1, 4], weight[0, 3, 2] = 2.0, 0.5, -1.0
    model, x = Linear(weight), torch.ones(3, 1, 4, 6)
    brain = torch.ones(3, 4, 6)
    tumor = torch.zeros(3, 4, 6)
    tumor[:2, 1, 1] = 1
    target = torch.tensor([0, 1, 0])
    regions = control_regions(tumor, brain)
    logit = effects_of_erasing(model, x, regions, target, fill=BLACK, output="logit")
    assert logit["region"].tolist() == [2, 0, 0]  # the second class has no pixels
    assert logit["mirror"].tolist() == [0.5, 0, 0]
    assert logit["elsewhere"][2] == 0
    effect = effects_of_erasing(model, x, regions, target, fill=BLACK)["region"]
    change = torch.sigmoid(torch.tensor(1.5)) - torch.sigmoid(torch.tensor(-0.5))
    torch.testing.assert_close(effect, torch.stack([change, -change, change * 0]))
    predicted = effects_of_erasing(model, x, regions, fill=BLACK)["region"]
    torch.testing.assert_close(predicted, torch.stack([change, change, change * 0]))
    with pytest.raises(ValueError, match="output is 'odds'"):
        effects_of_erasing(model, x, regions, output="odds")


def test_fills_learn_from_the_source_alone_and_the_model_stays():
    torch.manual_seed(0)
    model = GliomaCNN(1, 2, 16)
    model.classifier.eval()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    x, brain = noise(2, 1, 16, 16), torch.zeros(2, 16, 16)
    brain[:, 4:12, 4:12] = 1
    tumor = torch.zeros(2, 16, 16)
    tumor[:, 5:8, 5:8] = 1
    black = x * brain[:, None]
    for fill in ("mean", "inpaint", "noisy_linear"):
        erased = imputer(fill)(black, tumor, brain)
        bright = imputer(fill)(black + 5 * (1 - brain[:, None]), tumor, brain)
        torch.testing.assert_close(erased[:, :, 5:8, 5:8], bright[:, :, 5:8, 5:8])
        effect = effects_of_erasing(model, black, {"a": tumor}, fill=fill, source=brain)
        assert effect["a"].shape == (2,) and not effect["a"].requires_grad
    assert [module.training for module in model.modules()] == modes
    assert (torch.get_rng_state() == state).all()
