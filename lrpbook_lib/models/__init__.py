"""The networks of the book, by name, and what rebuilds one."""

from .paper import GliomaCNN, PoolingCNN, SliceNet
from .spec import NETWORKS, ModelSpec, build, register_network
