"""The networks are those of the paper: their parameters counted by hand."""

import itertools

import numpy as np
import pytest
import torch

from lrpbook_lib.data import SliceSet
from lrpbook_lib.models import (
    NETWORKS,
    GliomaCNN,
    ModelSpec,
    SliceNet,
    build,
    register_network,
)


def count(model):
    return sum(p.numel() for p in model.parameters())


def by_hand(channels, cells, classes):
    """Weights and biases: four 3 x 3 convolutions and two dense layers."""
    widths = [channels, 16, 32, 64, 128]
    convolutions = sum(9 * a * b + b for a, b in itertools.pairwise(widths))
    return convolutions + 128 * cells * 64 + 64 + 64 * classes + classes


def test_slice_net_at_the_paper_size():
    # 240 -> 80 -> 26 -> 8 by threes, -> 4 by two.
    assert count(SliceNet()) == by_hand(3, 4 * 4, 2) == 228_706


def test_glioma_cnn_at_the_paper_size():
    # Published: 1,940,834; 240 -> 120 -> 60 -> 30 -> 15.
    assert count(GliomaCNN()) == by_hand(3, 15 * 15, 2) == 1_940_834


@pytest.mark.parametrize("channels, size, classes", [(1, 54, 3), (4, (60, 75), 2)])
def test_slice_net_of_other_shapes(channels, size, classes):
    net = SliceNet(channels, classes, size).eval()
    height, width = (size, size) if isinstance(size, int) else size
    cells = (height // 3 // 3 // 3 // 2) * (width // 3 // 3 // 3 // 2)
    assert count(net) == by_hand(channels, cells, classes)
    assert net(torch.rand(2, channels, height, width)).shape == (2, classes)


def test_a_size_that_leaves_nothing():
    with pytest.raises(ValueError, match="Use at least 54"):
        SliceNet(size=53)
    with pytest.raises(ValueError, match="GliomaCNN pools by 2, 2, 2, 2: size 15"):
        GliomaCNN(size=15)


def test_a_network_is_built_again_from_what_it_says_of_itself():
    data = SliceSet.from_arrays(
        np.zeros((1, 2, 54, 60)),
        np.zeros(1),
        np.zeros((1, 54, 60)),
        np.ones((1, 54, 60)),
        ["p"],
        sequences=("t1", "flair"),
        classes=("a", "b", "c"),
    )
    data.settings = {"normalization": "max"}
    net = SliceNet(2, 3, size=(54, 60), dropout=0.5)
    spec = ModelSpec.of(net, data)
    assert spec.channels == ("t1", "flair") and spec.classes == ("a", "b", "c")
    assert spec.shape == (54, 60) and spec.normalization == "max"
    again = build(spec)
    assert again.features[-1].p == 0.5
    again.load_state_dict(net.state_dict())
    items = [{"image": torch.zeros(2, 54, 60)}]  # which tell nothing more
    assert ModelSpec.of(torch.nn.Linear(2, 1), items) == ModelSpec(
        "Linear", shape=(54, 60)
    )
    with pytest.raises(ValueError, match=r"no network 'Linear'; there are .*Glioma"):
        build(ModelSpec("Linear"))


def test_a_registered_network_remembers_its_own_arguments_alone():
    @register_network
    class Narrow(GliomaCNN):
        def __init__(self, size: int = 16, *, strict: bool = True):
            super().__init__(1, size=size)

    try:
        assert build(ModelSpec("Narrow", {"size": 32})).features[0].in_channels == 1
        spec = ModelSpec.of(Narrow(32), [{"image": torch.zeros(1, 32, 32)}])
        assert spec.arguments == {"size": 32, "strict": True}
        assert ModelSpec.of(
            GliomaCNN(), [{"image": torch.zeros(1, 2, 2)}]
        ).arguments == {
            "channels": 3,
            "classes": 2,
            "size": 240,
            "dropout": 0.2,
        }
    finally:
        NETWORKS.pop("Narrow")


def test_dropout_stands_where_it_did():
    kinds = [type(layer).__name__ for layer in SliceNet(size=60).features]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 4 + ["Dropout"]
