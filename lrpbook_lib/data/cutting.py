"""Cutting one case into its slices. Torch is not imported: workers stay small."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lrpbook_lib.data.cases import Case
from lrpbook_lib.data.choosing import (
    NORMALIZATIONS,
    SliceRecipe,
    choose_slices,
    label_of,
    normalize,
)
from lrpbook_lib.data.volumes import (
    Kept,
    Volumes,
    brain_mask,
    fill_slices,
    read_sequence,
    resample,
)


@dataclass(frozen=True)
class SliceSettings:
    """What slices of a case depend on, besides its files.

    Attributes
    ----------
    sequences
        Channels, in order.
    recipe
        Which slices.
    normalization
        Name in :data:`~lrpbook_lib.data.choosing.NORMALIZATIONS`.
    size
        Height and width of the slices, or ``None`` for the volumes' own.
    spacing
        Edge in mm of the cubic voxels to resample to first, or ``None``.
    """

    sequences: tuple[str, ...]
    recipe: SliceRecipe
    normalization: str
    size: tuple[int, int] | None
    spacing: float | None

    def __post_init__(self) -> None:
        if not self.sequences:
            raise ValueError("sequences is empty: name at least one, such as 't1'")
        if "seg" in self.sequences or len(set(self.sequences)) < len(self.sequences):
            raise ValueError(
                f"sequences={list(self.sequences)}: name each image once, and not the "
                "mask, which comes along by itself"
            )
        if self.size is not None and (
            len(self.size) != 2
            or not all(isinstance(n, int) and n > 0 for n in self.size)
        ):
            raise ValueError(
                f"size={self.size}: give a whole number of pixels, or (height, width)"
            )
        if self.spacing is not None and not self.spacing > 0:
            raise ValueError(f"spacing={self.spacing} mm: give a positive number")
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization={self.normalization!r} is unknown; it is one of "
                f"{', '.join(NORMALIZATIONS)}"
            )


def slices_of(case: Case, settings: SliceSettings) -> dict[str, Any]:
    """The slices of one case.

    Returns
    -------
    dict
        ``images`` (S, C, H, W) float32, ``tumor`` (S, H, W) uint8, ``brain``
        (S, H, W) bool, ``labels`` and ``z`` (S,) int64.
    """
    volumes = _read(case, settings)
    images = [volumes[name] for name in settings.sequences]
    for name, image in zip(settings.sequences, images, strict=True):
        if image.shape != volumes["seg"].shape:
            raise ValueError(
                f"{case.paths['seg']} has shape {volumes['seg'].shape}, {name} has "
                f"{image.shape}"
            )
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise ValueError(f"{case.paths[name]} holds NaN or infinity")
        if not image.any():
            raise ValueError(f"{case.paths[name]} ({name}) is zero everywhere")
    brain = brain_mask(images, case.description.stripped)
    seg = volumes["seg"]
    chosen = choose_slices(settings.recipe, seg, brain, case.grade, volumes.spacing)
    inside = fill_slices(brain[..., chosen]) if len(chosen) else brain[..., chosen]
    scaled = [
        normalize(image, brain, chosen, settings.normalization) for image in images
    ]
    tumor = seg[..., chosen]
    size = settings.size
    shown_brain = _screen(inside.astype("u1"), size) > 0
    arrays = {
        "images": np.stack([_screen(s, size) for s in scaled], axis=1),
        "tumor": _screen(tumor, size),
        "brain": shown_brain,
        "labels": np.array(
            [label_of(case.grade, bool(t.any())) for t in np.moveaxis(tumor, 2, 0)],
            dtype=np.int64,
        ),
        "z": chosen.astype(np.int64),
    }
    arrays["images"] *= shown_brain[:, None]  # nothing outside the brain
    return arrays


def _read(case: Case, settings: SliceSettings) -> Volumes:
    kept: Kept = {}
    arrays, affine = {}, None
    for name in (*settings.sequences, "seg"):
        arrays[name], own = read_sequence(case, name, kept)
        affine = own if affine is None else affine
    assert affine is not None  # the settings name a sequence at least
    volumes = Volumes(arrays, affine)
    return volumes if settings.spacing is None else resample(volumes, settings.spacing)


def _screen(volume: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """``(X, Y, S)`` right-front to ``(S, H, W)`` as on screen, scaled to `size`."""
    shown = np.ascontiguousarray(
        np.moveaxis(volume, 2, 0)[:, ::-1, ::-1].swapaxes(1, 2)
    )
    if size is None or shown.shape[1:] == size:
        return shown
    height, width = shown.shape[1:]
    # Pad to the shape asked for, so that nothing is stretched.
    ratio = max(height / size[0], width / size[1])
    need = (round(size[0] * ratio), round(size[1] * ratio))
    pads = [
        ((n - have) // 2, n - have - (n - have) // 2)
        for n, have in zip(need, (height, width), strict=True)
    ]
    shown = np.pad(shown, [(0, 0), *pads])
    real = shown.dtype == np.float32
    how = Image.Resampling.BILINEAR if real else Image.Resampling.NEAREST
    out = np.empty((len(shown), *size), dtype=shown.dtype)
    for row, page in enumerate(shown):
        out[row] = np.asarray(Image.fromarray(page).resize(size[::-1], how))
    return out
