"""Figures with a text for readers who cannot see them."""

from __future__ import annotations

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
    data: dict[str, Any] = {"image/png": png(fig, dpi), "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)
    if (manager := fig.canvas.manager) is not None:
        import matplotlib.pyplot as plt

        plt.close(manager.num)


def png(fig: Figure, dpi: int) -> bytes:
    """The figure as PNG, without margins."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight")
    return buffer.getvalue()


def titled(
    fig: Any, title: str, alt: str, legend: float | None = None, **layout: Any
) -> Any:
    """Give a plotly figure its title, its text, and the rest of its layout.

    Parameters
    ----------
    fig
        A plotly figure; it is changed and returned.
    title
        Also how the text begins.
    alt
        What the figure says beyond that.
    legend
        How far below the figure a legend lies on its side, where phones have room.
    **layout
        As of ``fig.update_layout``.
    """
    if legend is not None:
        layout["legend"] = {"orientation": "h", "y": legend}
        layout["margin"] = {"l": 10, "r": 10}
    return fig.update_layout(title=title, meta={"alt": f"{title}. {alt}"}, **layout)


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
