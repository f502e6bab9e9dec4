"""Figures and widgets.

Names are imported when first used: a chapter that shows one picture should not wait for
torch and plotly.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
