"""What Jupyter Book 1.x needs so that its pages work with no network.

Each repair below answers one defect, seen in a browser with the network off; the test
that opens every page (``tests/book/test_pages.py``) fails without it.
"""

import html
import json
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from book_tools import vendor
from book_tools.mime import PAPER, PLOTLY, plotly_alt


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


def _add_vendored_scripts(app: Sphinx, config: Any) -> None:
    assets = Path(app.srcdir) / "assets"
    static = Path(app.doctreedir).parent / "static"
    vendor.unpack(assets, static)
    for own in (*assets.glob("*.js"), *assets.glob("*.css")):
        shutil.copy(own, static)
    if (assets / "shared").is_dir():
        shutil.copytree(assets / "shared", static / "shared", dirs_exist_ok=True)
    config.html_static_path.append(str(static))
    # The theme would add a second search box, and would log an error for mode "".
    config.html_theme_options["navbar_persistent"] = []
    config.html_context.setdefault("default_mode", "light")


def _drop_repeated_scripts(
    app: Sphinx, page: str, template: str, context: dict, doctree: Any
) -> None:
    """Sphinx writes inline scripts twice, and a repeated ``const`` is an error.

    Thebe goes altogether: it needs a CDN and a server, and this book has neither.
    """
    seen: set[str] = set()
    kept = []
    for script in context["script_files"]:
        name = str(getattr(script, "filename", None) or "")
        body = getattr(script, "attributes", {}).get("body") or ""
        if "thebe" in name or "THEBE" in body or (body and body in seen):
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


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", _add_vendored_scripts)
    app.connect("html-page-context", _drop_repeated_scripts, priority=900)
    app.connect("html-page-context", _name_lists_honestly)
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
