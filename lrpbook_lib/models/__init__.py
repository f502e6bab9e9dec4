"""The networks of the book."""

from .glioma_cnn import GliomaCNN
from .slice_net import SliceNet
