"""Scripts that pages need, so that no page asks the network: the one manifest.

Those below come as :mod:`lrpbook_lib.explore.runtime` says; plotly.js and anywidget's
script are taken from the installed Python packages.
"""

import concurrent.futures
import importlib.util
import shutil
import sys
from pathlib import Path

from book_tools.layout import BookError
from lrpbook_lib.explore.runtime import RUNTIME, MissingError, Package

LOADER = Package(
    "requirejs",
    "2.3.8",
    license="MIT",
    owner="OpenJS Foundation and other contributors",
    why="loads the widget manager; widgets are still pictures without it",
    files={
        "require.js": (
            "c1fc6b1d53af7522f78d664922abb32acac64ed0ecccb8f907f1e6fc7262563a"
        )
    },
)
WIDGETS = Package(
    "@jupyter-widgets/html-manager",
    "1.0.15",
    license="BSD-3-Clause",
    owner="Project Jupyter Contributors; with Font Awesome fonts, SIL OFL 1.1",
    why="moves widgets without a kernel; they are still pictures without it",
    files={
        "dist/embed-amd.js": (
            "ca87dff57c70ffb2658794fde0eab0e27e5f5472a1f5df7ab2b08e1039fc4b72"
        ),
        "dist/1551f4f60c37af51121f.woff2": (
            "9834b82ad26e2a37583d22676a12dd2eb0fe7c80356a2114d0db1aa8b3899537"
        ),
        "dist/7a3337626410ca2f4071.woff2": (
            "e42a88444448ac3d60549cc7c1ff2c8a9cac721034c073d80a14a44e79730cca"
        ),
        "dist/d878b0a6a1144760244f.woff2": (
            "8ea8791754915a898a3100e63e32978a6d1763be6df8e73a39d3a90d691cdeef"
        ),
    },
)
# The SVG form is one file and needs no fonts.
MATH = Package(
    "mathjax",
    "3.2.2",
    license="Apache-2.0",
    owner="The MathJax Consortium",
    why="sets equations; they stay as TeX without it",
    files={
        "es5/tex-svg.js": (
            "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882"
        )
    },
)
PACKAGES = (LOADER, WIDGETS, MATH, RUNTIME)
FROM_PYTHON = {
    "plotly.min.js": ("plotly", "package_data/plotly.min.js"),
    "anywidget.js": ("anywidget", "nbextension/index.js"),
}


def fetch() -> None:
    """Fetch what is not cached or was altered; say what pages lack without it."""

    def try_one(package: Package) -> str | None:
        try:
            package.content()
        except MissingError as missing:
            return f"book: {missing}: it {package.why}"
        return None

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for said in filter(None, pool.map(try_one, PACKAGES)):
            print(said, file=sys.stderr)


def widgets_move() -> bool:
    """Whether pages can hold widgets that move."""
    return LOADER.is_cached() and WIDGETS.is_cached()


def unpack(static: Path) -> None:
    """Write the scripts that every site shares below ``static``."""
    for package in filter(Package.is_cached, (LOADER, WIDGETS, MATH)):
        folder = static / package.name.rpartition("/")[2]
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in package.content().items():
            (folder / Path(file).name).write_bytes(content)
    for name, (module, inside) in FROM_PYTHON.items():
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            raise BookError(f"the Python package {module} is missing: run make setup")
        shutil.copyfile(Path(spec.origin).parent / inside, static / name)
