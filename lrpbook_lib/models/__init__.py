"""The networks of the book."""

from .glioma_cnn import GliomaCNN

__all__ = ["GliomaCNN"]
