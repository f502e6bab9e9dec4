"""The networks of the book, by name, and what rebuilds one."""

from .dense_net import DenseNet
from .gp import GlobalPooling, GPNet, GPReconResNet, GPShuffleUNet, GPUNet, UNetTrunk
from .graz_net import GrazNet, GrazNetUnbiased
from .paper import GliomaCNN, PoolingCNN, SliceNet
from .spec import NETWORKS, ModelSpec, build, register_network
from .two_heads import AdversarialCNN, SegmentedCNN
