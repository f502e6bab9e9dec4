"""The networks are those of the paper: their parameters counted by hand."""

import itertools

import pytest
import torch

from lrpbook_lib.models import GliomaCNN, SliceNet


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


def test_dropout_stands_where_it_did():
    kinds = [type(layer).__name__ for layer in SliceNet(size=60).features]
    assert kinds == ["Conv2d", "ReLU", "MaxPool2d"] * 4 + ["Dropout"]
