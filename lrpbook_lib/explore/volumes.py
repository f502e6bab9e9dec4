"""Volumes in three planes: a viewer that needs no kernel, and plain panels."""

import html
import warnings
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.figure import Figure
from nibabel.nifti1 import Nifti1Image

# Blue, orange and vermilion of Okabe and Ito: told apart by color-blind readers.
REGION_COLORS = {1: "#0072B2", 2: "#E69F00", 4: "#D55E00"}
REGION_NAMES = {1: "necrotic core", 2: "edema", 4: "enhancing rim"}


def view_volume(
    background: Nifti1Image, overlay: Nifti1Image, title: str, opacity: float = 0.6
) -> None:
    """Display nilearn's three-plane viewer: click or drag to move, no kernel needed.

    Parameters
    ----------
    background, overlay
        Volumes in one space; the overlay's zeros are transparent.
    title
        Names the viewer for screen readers and stands in for it in print.
    opacity
        Of the overlay, from 0 to 1.
    """
    from nilearn import plotting

    with warnings.catch_warnings():
        # nilearn casts the overlay's values for its color map, and warns of it.
        warnings.simplefilter("ignore")
        view = plotting.view_img(
            overlay,
            bg_img=background,
            threshold=0.5,
            cmap="inferno",
            symmetric_cmap=False,
            colorbar=False,
            opacity=opacity,
            resampling_interpolation="nearest",
            width_view=600,
        )
    frame = view.get_iframe(600, 290)
    named = frame.replace("<iframe", f'<iframe title="{html.escape(title)}"', 1)
    display({"text/html": named, "text/plain": title}, raw=True)


def sequence_panels(
    slices: Mapping[str, np.ndarray], labels: np.ndarray | None = None
) -> Figure:
    """One axial slice in several sequences, side by side, as radiologists hang them.

    Parameters
    ----------
    slices
        Name of the sequence to its slice (X, Y), x from left to right, y to the front.
    labels
        Tumor sub-regions (X, Y) with BraTS values 1, 2, 4, drawn as outlines on a
        second row of the same slices.
    """
    rows = 1 if labels is None else 2
    size = (2.3 * len(slices), 2.8 * rows)
    fig, axes = plt.subplots(rows, len(slices), figsize=size, squeeze=False)
    for row in axes:
        for axis, (name, image) in zip(row, slices.items(), strict=True):
            # The patient's left is on the viewer's right.
            axis.imshow(image[::-1].T, origin="lower", cmap="gray")
            axis.set_title(name)
            axis.axis("off")
    if labels is not None:
        for axis in axes[1]:
            for value, color in REGION_COLORS.items():
                region = np.equal(labels[::-1].T, value).astype(float)
                axis.contour(region, [0.5], colors=color, linewidths=1.2)
        handles = [
            plt.Line2D([], [], color=color, label=REGION_NAMES[value])
            for value, color in REGION_COLORS.items()
        ]
        fig.legend(handles=handles, loc="lower center", ncol=3, frameon=False)
    fig.tight_layout(rect=(0, 0.06 if labels is not None else 0, 1, 1))
    return fig
