"""Serve the built book on this machine alone."""

import functools
import http.server

from book_tools.layout import BookError, Layout


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing for each file that a browser asks for."""


def make_server(layout: Layout, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the built book on the loopback address; port 0 takes a free one."""
    if not (layout.html / "index.html").is_file():
        raise BookError("there is no built book yet: run make book first")
    handler = functools.partial(_Quiet, directory=str(layout.html))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        raise BookError(f"port {port} is taken: make serve PORT={port + 1}") from None


def serve(layout: Layout, port: int) -> None:
    """Serve until interrupted."""
    with make_server(layout, port) as server:
        print(f"http://127.0.0.1:{server.server_port}/  (stop with Ctrl-C)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
