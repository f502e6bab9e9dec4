"""Maps of whole heads on the MNI152 template, drawn by nilearn."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import nibabel as nib
import numpy as np
from matplotlib.figure import Figure

#: Where the planes cut, mm of MNI space: hippocampi and ventricles are on them.
CUTS = (27, -20, 12)


def on_template(
    maps: Mapping[str, np.ndarray],
    affine: np.ndarray,
    cuts: Sequence[float] = CUTS,
    floor: float = 0.25,
) -> Figure:
    """Maps over the MNI152 template, a row each: sagittal, coronal and axial.

    Parameters
    ----------
    maps
        Name to ``(X, Y, Z)``, positive; each is shown relative to its own maximum.
    affine
        ``(4, 4)``: voxel to mm of MNI space.
    cuts
        Where to cut, mm.
    floor
        Share of the maximum from which on a map is shown.
    """
    from nilearn import plotting
    from nilearn.datasets import load_mni152_template

    template = load_mni152_template(resolution=2)
    fig = Figure(figsize=(7.2, 1.75 * len(maps)), facecolor="black")
    rows = fig.subplots(len(maps), 1, squeeze=False)[:, 0]
    for axes, (name, values) in zip(rows, maps.items(), strict=True):
        plotting.plot_stat_map(
            as_image(values, affine),
            bg_img=template,
            cut_coords=tuple(cuts),
            axes=axes,
            figure=fig,
            threshold=floor,
            vmax=1.0,
            vmin=0.0,
            cmap="inferno",
            symmetric_cbar=False,
            black_bg=True,
            annotate=True,
            title=name,
        )
    return fig


def head_viewer(
    values: np.ndarray,
    affine: np.ndarray,
    title: str,
    cuts: Sequence[float] = CUTS,
    floor: float = 0.25,
) -> Any:
    """A map on the template under the hand: click to move the planes; needs no kernel.

    Parameters
    ----------
    values
        ``(X, Y, Z)``, positive, shown relative to its maximum.
    affine
        ``(4, 4)``: voxel to mm of MNI space.
    title
        What is shown, also for screen readers.
    """
    from IPython.display import HTML
    from nilearn import plotting
    from nilearn.datasets import load_mni152_template

    view = plotting.view_img(
        as_image(values, affine),
        bg_img=load_mni152_template(resolution=3),
        cut_coords=tuple(cuts),
        threshold=floor,
        vmax=1.0,
        vmin=0.0,
        symmetric_cmap=False,
        cmap="inferno",
        black_bg=True,
        title=title,
    )
    page = html.escape(view.get_standalone(), quote=True)
    return HTML(
        f'<div><iframe title="{html.escape(title)}" srcdoc="{page}" '
        'loading="lazy" style="width: 100%; max-width: 620px; height: 240px; '
        'border: 0"></iframe></div>'
    )


def as_image(values: np.ndarray, affine: np.ndarray) -> Any:
    """A map relative to its maximum, as nilearn takes it."""
    peak = float(values.max())
    scaled = values.astype("f4") / peak if peak > 0 else values.astype("f4")
    return nib.Nifti1Image(scaled, affine)
