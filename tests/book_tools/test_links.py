"""Links out of the book: asked once, and the broken ones named with their page."""

import http.server
import threading

import pytest

from book_tools.layout import BookError, Layout
from book_tools.website import check_links


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response({"/gone": 404, "/guarded": 403}.get(self.path, 200))
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_broken_links_are_named(small_book, server):
    small_book.chapter("one", "print(1)")
    layout = Layout(small_book.root)
    with pytest.raises(BookError, match="run make book first"):
        check_links(layout)
    layout.html.mkdir(parents=True)
    (layout.html / "index.html").touch()
    page = layout.html / "page.html"
    page.write_text(f'<a href="{server}/fine">x</a> <a href="{server}/guarded">y</a>')
    assert check_links(layout) == 2
    page.write_text(f'<a href="{server}/fine">x</a> <a href="{server}/gone">y</a>')
    with pytest.raises(BookError, match=r"/gone \(page\.html\): answers 404"):
        check_links(layout)
