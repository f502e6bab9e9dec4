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


def frame_slider(
    fig: Any, name: str, unit: str = "", active: int = 0
) -> dict[str, Any]:
    """A plotly slider over a figure's named frames; it works without a kernel.

    Parameters
    ----------
    fig
        A plotly figure whose frames have names, shown as the slider's stops.
    name, unit
        What the slider changes: "echo time: 80 ms".
    active
        Where it stands at first; the figure's own data must be that frame's.
    """
    immediate = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}}
    return {
        "active": active,
        "currentvalue": {"prefix": f"{name}: ", "suffix": f" {unit}".rstrip()},
        "pad": {"t": 60},
        "steps": [
            {"method": "animate", "label": each.name, "args": [[each.name], immediate]}
            for each in fig.frames
        ],
    }
