"""The book in smoke profile, and a browser that has no network."""

import threading
from dataclasses import dataclass, field
from urllib.parse import urlparse

import pytest

from book_tools.layout import Layout
from book_tools.website import make_server
from tests.conftest import ROOT, run_book


@pytest.fixture(scope="session")
def smoke_book():
    """The real book, built in smoke profile; what did not change is kept."""
    done = run_book(ROOT, "build", "--profile", "smoke", "--wait", "600")
    assert done.returncode == 0, done.stderr
    return Layout(ROOT, "smoke")


@pytest.fixture(scope="session")
def served(smoke_book):
    """The address at which the built book is served."""
    with make_server(smoke_book, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@dataclass
class Complaints:
    """What a page did that a reader's browser would complain of."""

    console: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def all(self):
        return self.console + self.failed + self.outside


@pytest.fixture
def open_page(chromium):
    """Open an address with the network off; returns the page and its complaints."""
    contexts = []

    def opener(address, width=1280, height=900):
        context = chromium.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        said = Complaints()

        def gate(route):
            url = urlparse(route.request.url)
            if url.scheme in {"file", "data", "blob"} or url.hostname == "127.0.0.1":
                return route.continue_()
            said.outside.append(f"asked {route.request.url}")
            return route.abort()

        context.route("**/*", gate)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                message.type == "error"
                and said.console.append(f"console: {message.text}")
            ),
        )
        page.on("pageerror", lambda error: said.console.append(f"error: {error}"))
        page.on(
            "requestfailed",
            lambda request: said.failed.append(f"failed {request.url}"),
        )
        page.on(
            "response",
            lambda response: (
                response.status >= 400
                and said.failed.append(f"{response.status} {response.url}")
            ),
        )
        page.goto(address, wait_until="load")
        settle(page)
        return page, said

    yield opener
    for context in contexts:
        context.close()


def settle(page):
    """Wait until math, figures and widgets of the page are drawn."""
    page.wait_for_function(
        """() => {
          const math = !document.querySelector('.math')
            || !document.querySelector('script[src*="mathjax/"]')
            || document.querySelectorAll('mjx-container').length > 0;
          const plots = [...document.querySelectorAll('.plotly-graph-div')]
            .every((each) => each.querySelector('.main-svg'));
          const states = document.querySelectorAll(
            'script[type="application/vnd.jupyter.widget-view+json"]');
          const widgets = [...states].every(
            (each) => each.parentElement.querySelector('.jupyter-widgets, .lm-Widget'));
          return math && plots && widgets;
        }""",
        timeout=20_000,
    )
