"""What every widget shares: its script, its picture, and a page of its own."""

from __future__ import annotations

import base64
import gzip
import html
import json
from abc import abstractmethod
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from matplotlib.figure import Figure

from lrpbook_lib.explore.figures.alt import png
from lrpbook_lib.explore.runtime import MissingError, packed_runtime
from lrpbook_lib.explore.widgets.web import read
from lrpbook_lib.files import whole_or_absent

#: Names of ipywidgets' own bookkeeping, which a page on its own does not need.
_PLUMBING = ("_", "layout", "tabbable", "tooltip", "comm", "keys", "log")


class PageWidget(anywidget.AnyWidget):
    """A widget that is alive without a kernel and is a picture where it cannot be.

    A derived class says what it shows in :meth:`alt` and draws itself in
    :meth:`figure`. The picture travels as the output's ``image/png``: print, readers
    without JavaScript and viewers without widgets see that.

    Attributes
    ----------
    about : dict
        The ``title``, and what else the script reads once.
    """

    about = traitlets.Dict().tag(sync=True)

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
        names = self.traits(sync=True)
        state = {n: getattr(self, n) for n in names if not n.startswith(_PLUMBING)}
        text = json.dumps(state, default=_bytes)
        page = read("alone.html")
        for name, part in {
            "title": html.escape(self.alt().partition(". ")[0]),
            "alt": html.escape(self.alt()),
            "style": str(self._css),
            "state": text.replace("</", "<\\/"),
            "module": str(self._esm).replace("</", "<\\/"),
        }.items():
            page = page.replace("{{" + name + "}}", part, 1)
        return page

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        made = super()._repr_mimebundle_(**kwargs)
        if made is None:
            return None
        data, metadata = made
        data |= {"image/png": png(self.figure(), dpi=80), "text/plain": self.alt()}
        return data, {**metadata, "image/png": {"alt": self.alt()}}


def pack(array: np.ndarray) -> bytes:
    """The array's bytes, gzipped; equal arrays give equal bytes."""
    return gzip.compress(np.ascontiguousarray(array).tobytes(), mtime=0)


def _bytes(value: bytes) -> dict[str, str]:
    return {"$bytes": base64.b64encode(value).decode()}


class ComputingWidget(PageWidget):
    """A widget whose page computes, by weights and programs that it carries."""

    assets = traitlets.Dict().tag(sync=True)

    def alone(self) -> str:
        """The widget as HTML that stands alone; it brings the runtime along."""
        carried = self.assets
        try:
            if carried:
                self.set_trait("assets", {**carried, **packed_runtime()})
        except MissingError:
            pass  # the page will say what it cannot do
        try:
            return super().alone()
        finally:
            self.set_trait("assets", carried)
