"""What every widget of this package shares: its scripts, packed bytes, its picture."""

from __future__ import annotations

import gzip
import io
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
from matplotlib.figure import Figure

from lrpbook_lib.explore.alone import page
from lrpbook_lib.explore.volumes import REGION_NAMES
from lrpbook_lib.files import whole_or_absent


def pack(array: np.ndarray) -> bytes:
    """The array's bytes, gzipped; equal arrays give equal bytes."""
    return gzip.compress(np.ascontiguousarray(array).tobytes(), mtime=0)


class PageWidget(anywidget.AnyWidget):
    """A widget that is alive without a kernel and is a picture where it cannot be.

    A derived class says what it shows in :meth:`alt` and draws itself in
    :meth:`figure`. The picture travels as the output's ``image/png``: print, readers
    without JavaScript and viewers without widgets see that.
    """

    @abstractmethod
    def alt(self) -> str:
        """What the widget shows, in words."""

    @abstractmethod
    def figure(self) -> Figure:
        """The widget as a plain figure."""

    def export(self, path: str | Path) -> Path:
        """Write the widget as one html file to mail to a colleague.

        The file holds all it needs: it opens with no network, kernel or installation.

        Parameters
        ----------
        path
            Where to; a folder that does not exist yet is made.

        Returns
        -------
        Path
        """
        path = Path(path).expanduser()
        if path.suffix not in (".html", ".htm"):
            raise ValueError(f"{path} is no html file: name it {path.stem}.html")
        with whole_or_absent(path) as beside:
            beside.write_text(self.alone(), encoding="utf-8")
        return path

    def alone(self) -> str:
        """The widget as HTML that stands alone."""
        return page(self, title=self.alt().partition(". ")[0], alt=self.alt())

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        made = super()._repr_mimebundle_(**kwargs)
        if made is None:
            return None
        data, metadata = made
        buffer = io.BytesIO()
        self.figure().savefig(buffer, format="png", dpi=80, bbox_inches="tight")
        data |= {"image/png": buffer.getvalue(), "text/plain": self.alt()}
        return data, {**metadata, "image/png": {"alt": self.alt()}}


def levels(relevance: np.ndarray, steps: int = 15) -> np.ndarray:
    r"""Relevance in ``2 steps + 1`` levels, each map on its own symmetric scale.

    The level is :math:`\mathrm{sign}(R) \sqrt{|R| / \max |R|}`, rounded: the root keeps
    what is weak apart from nothing. The largest magnitude is the 99.8th percentile of
    the map, so that one pixel cannot blacken all others.

    Parameters
    ----------
    relevance
        ``(..., H, W)``.

    Returns
    -------
    ndarray
        uint8 from 0 to ``2 steps``, ``steps`` standing for zero.
    """
    size = np.abs(relevance)
    limit = np.quantile(size, 0.998, axis=(-2, -1), keepdims=True)
    limit = np.where(limit > 0, limit, size.max((-2, -1), keepdims=True))
    root = np.sqrt(np.clip(size / np.where(limit > 0, limit, 1), 0, 1))
    return (steps + np.rint(steps * np.sign(relevance) * root)).astype(np.uint8)


def gray_levels(images: np.ndarray) -> np.ndarray:
    """Each picture ``(..., H, W)`` in 256 gray levels over its own range."""
    low = images.min((-2, -1), keepdims=True)
    # A little is cut off at the top: one bright vessel must not darken the brain.
    high = np.quantile(images, 0.998, axis=(-2, -1), keepdims=True)
    high = np.where(
        high > low, high, np.maximum(images.max((-2, -1), keepdims=True), low)
    )
    span = np.where(high > low, high - low, 1)
    return np.rint(255 * np.clip((images - low) / span, 0, 1)).astype(np.uint8)


def as_array(value: Any, name: str, shape: str) -> np.ndarray:
    """An array or tensor as a finite array of as many axes as ``shape`` names."""
    detached = value.detach().cpu() if hasattr(value, "detach") else value
    array = np.asarray(detached)
    if array.ndim != len(shape.split(",")):
        raise ValueError(f"{name} has shape {array.shape}; it must be ({shape})")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{name} has {bad} values that are NaN or infinite: np.nan_to_num({name}) "
            "replaces them, but look first where they come from"
        )
    return array


def check_same(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse arrays whose shapes differ, naming each."""
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"these must be of one shape: {told}")


def regions(tumor: np.ndarray) -> list[list]:
    """Value and name of each region there is; a mask of ones is simply the tumor."""
    present = np.unique(tumor[tumor > 0]).tolist()
    if present in ([], [1]):
        return [[1, "tumor"]]
    return [[value, REGION_NAMES.get(value, f"region {value}")] for value in present]
