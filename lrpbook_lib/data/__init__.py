"""Patients on disk to slices in memory.

Names are imported when first used; ``__init__.pyi`` beside this file lists them.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
