"""A browser for widgets that stand alone."""

import pytest


@pytest.fixture
def open_alone(chromium):
    """Open an exported file without network; returns the page and its errors."""
    contexts = []

    def opener(path, width=1100, height=900, script=""):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, offline=True
        )
        contexts.append(context)
        said = []
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.on(
            "console",
            lambda message: message.type == "error" and said.append(message.text),
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("requestfailed", lambda request: said.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function("() => window.lrpxModel", timeout=20_000)
        return page, said

    yield opener
    for context in contexts:
        context.close()
