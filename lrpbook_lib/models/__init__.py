"""The networks of the book."""

from .dense_net import DenseNet
from .glioma_cnn import GliomaCNN
from .gp import GlobalPooling, GPNet, GPReconResNet, GPShuffleUNet, GPUNet, UNetTrunk
from .graz_net import GrazNet
from .slice_net import SliceNet
