"""What Jupyter Book 1.x needs so that its pages work with no network.

Each repair below answers one defect, seen in a browser with the network off; the test
that opens every page (``tests/book/test_pages.py``) fails without it.
"""

import html
import json
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core import render
from sphinx.application import Sphinx

from book_tools.outputs import PLOTLY, plotly_alt
from book_tools.scripts import MATH
from book_tools.staging import PAPER


class PlotlyRenderer:
    """Plotly figures as HTML that shares the site's one copy of plotly.js.

    A kernel's plotly figure has a mime type that myst-nb does not know, and would
    leave the cell blank; plotly's own HTML renderers load scripts from a CDN.
    """

    mime_priority_overrides = (("*", PLOTLY, 0),)

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Node] | None:
        """Render a figure; None leaves any other output to myst-nb."""
        if inline or data.mime_type != PLOTLY:
            return None
        import plotly.io as pio

        content = data.content
        figure = content if isinstance(content, dict) else json.loads(content)
        markup = pio.to_html(
            {
                part: figure[part]
                for part in ("data", "layout", "frames")
                if part in figure
            },
            config={"responsive": True, "displaylogo": False},
            include_plotlyjs=False,
            include_mathjax=False,
            full_html=False,
            auto_play=False,
            validate=False,
        )
        alt = plotly_alt(figure)
        renderer.add_js_file("plotly", "plotly.min.js", {"priority": 400})
        return [
            nodes.raw(
                "",
                f'<div class="lrpbook-plotly" role="group" '
                f'aria-label="{html.escape(alt, quote=True)}">{markup}</div>',
                format="html",
            )
        ]


class AltTextRenderer:
    """Pictures keep the alternative text that ``lrpbook_lib.explore.show`` gave them.

    myst-nb reads it from the cell's metadata alone, which the code cannot write.
    """

    mime_priority_overrides = ()

    @staticmethod
    def handle_mime(renderer: Any, data: Any, inline: bool) -> list[nodes.Node] | None:
        """Render a picture that has an alternative text; None leaves others alone."""
        about = data.output_metadata.get(data.mime_type, {})
        alt = about.get("alt")
        if not data.mime_type.startswith("image/") or not alt:
            return None
        rendered = renderer.render_image(data)
        for node in rendered:
            for image in node.findall(nodes.image):
                image["alt"] = alt
                if about.get(PAPER):
                    image["classes"].append("lrpx-paper")
        return rendered


def _configure(app: Sphinx, config: Any) -> None:
    config.html_static_path.append(str(Path(app.srcdir) / "static"))
    config.mathjax_path = "mathjax/tex-svg.js"
    own = ("requirejs/require.js", "widgets.js", "html-manager/embed-amd.js")
    config.nb_ipywidgets_js = {script: {} for script in own}
    # The theme would add a second search box, and would log an error for mode "".
    config.html_theme_options["navbar_persistent"] = []
    config.html_context.setdefault("default_mode", "light")


def _drop_repeated_scripts(
    app: Sphinx, page: str, template: str, context: dict, doctree: Any
) -> None:
    """Sphinx writes inline scripts twice, and a repeated ``const`` is an error.

    Thebe goes altogether: it needs a CDN and a server, and this book has neither. So
    does MathJax where it could not be fetched: equations stay as TeX.
    """
    seen: set[str] = set()
    kept = []
    for script in context["script_files"]:
        name = str(getattr(script, "filename", None) or "")
        body = getattr(script, "attributes", {}).get("body") or ""
        absent = "mathjax" in name and not MATH.is_cached()
        if absent or "thebe" in name or "THEBE" in body or (body and body in seen):
            continue
        seen.add(body)
        kept.append(script)
    context["script_files"][:] = kept


def _name_lists_honestly(
    app: Sphinx, page: str, template: str, context: dict, doctree: Any
) -> None:
    """Docutils calls a bibliography a list whose children are no list items."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def _offer_colab_where_it_works(
    app: Sphinx, page: str, template: str, context: dict, doctree: Any
) -> None:
    """A page without the set-up cell needs a checkout: it has no button for Colab."""
    if doctree is not None and "google.colab" not in doctree.astext():
        buttons = context["header_buttons"]
        buttons[:] = [each for each in buttons if each.get("label") != "launch-buttons"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    # Not by entry points: what is installed, with myst-nb or without, has no renderers.
    render.load_mime_renders = lambda: [PlotlyRenderer, AltTextRenderer]
    app.connect("config-inited", _configure)
    app.connect("html-page-context", _drop_repeated_scripts, priority=900)
    app.connect("html-page-context", _name_lists_honestly)
    app.connect("html-page-context", _offer_colab_where_it_works, priority=900)
    # From a file, a browser refuses the fetches that search makes for its excerpts.
    app.add_js_file(
        None,
        body="if (location.protocol === 'file:') "
        "DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;",
        priority=210,
    )
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    # The theme's Font Awesome turns a widget's <i> into <svg>; the widget then fails.
    app.add_js_file(
        None, body="window.FontAwesomeConfig={observeMutations:false}", priority=100
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
