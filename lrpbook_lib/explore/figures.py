"""Figures with a text for readers who cannot see them."""

import io
from typing import Any

from IPython.display import display
from matplotlib.figure import Figure


def show(fig: Figure, alt: str, dpi: int = 110) -> None:
    """Display a matplotlib figure as a picture that carries its alternative text.

    Parameters
    ----------
    fig
        The figure; it is closed afterwards, so that a notebook shows it once.
    alt
        What the picture says, for screen readers and for pages without pictures.
    dpi
        Pixels an inch.
    """
    if not alt.strip():
        raise ValueError("a figure needs an alt text: say in a sentence what it shows")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    show_png(buffer.getvalue(), alt)
    if (manager := fig.canvas.manager) is not None:
        import matplotlib.pyplot as plt

        plt.close(manager.num)


def show_png(png: bytes, alt: str) -> None:
    """Display PNG bytes with their alternative text."""
    data: dict[str, Any] = {"image/png": png, "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)
