"""Every network can be built again from what a file says of it."""

import json

import pytest

from lrpbook_lib.models import NETWORKS, ModelSpec, build

SMALL = {
    "DenseNet": {"growth": 4, "blocks": [2, 2], "width": 8, "small": True},
    "GPUNet": {"width": 4},
    "GPShuffleUNet": {"width": 4},
    "GPReconResNet": {"width": 4},
    "GrazNet": {"channels": 1, "size": (24, 24, 24), "filters": 2},
    "GrazNetUnbiased": {"channels": 1, "size": (24, 24, 24), "filters": 2},
    "GliomaCNN": {"size": 32},
    "SliceNet": {"size": (54, 60)},
}


@pytest.mark.parametrize("name", SMALL)
def test_every_network_comes_back_from_a_file(name):
    model = NETWORKS[name](**SMALL[name])
    kept = json.loads(json.dumps(model._arguments))
    again = build(ModelSpec(name, kept))
    again.load_state_dict(model.state_dict())
    assert again._arguments.keys() == model._arguments.keys()
