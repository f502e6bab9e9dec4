"""The built book: served on this machine alone, and asked whether its links lead on."""

import concurrent.futures
import functools
import html
import http.server
import re
import urllib.error
import urllib.request
from collections import defaultdict

from book_tools.layout import BookError, Layout

# Publishers refuse scripts with these; the page is there for a person.
GUARDED = {401, 403, 405, 406, 418, 429, 503}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing for each file that a browser asks for."""


def _check_built(layout: Layout) -> None:
    if not (layout.html / "index.html").is_file():
        raise BookError("there is no built book yet: run make book first")


def make_server(layout: Layout, port: int) -> http.server.ThreadingHTTPServer:
    """A server of the built book on the loopback address; port 0 takes a free one."""
    _check_built(layout)
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


def check_links(layout: Layout) -> int:
    """Ask every address once; raise with those that fail, return how many there are."""
    links = outside_links(layout)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = dict(zip(links, pool.map(problem, links), strict=True))
    broken = [
        f"{address} ({', '.join(links[address])}): {what}"
        for address, what in answers.items()
        if what
    ]
    if broken:
        raise BookError("broken links:\n" + "\n".join(broken))
    return len(links)


def outside_links(layout: Layout) -> dict[str, list[str]]:
    """Every address outside the book, with the pages that name it."""
    _check_built(layout)
    found = defaultdict(list)
    for page in sorted(layout.html.glob("*.html")):
        text = page.read_text(encoding="utf-8")
        for address in set(re.findall(r'<a[^>]+href="(https?://[^"]+)"', text)):
            found[html.unescape(address)].append(page.name)
    return dict(found)


def problem(address: str, timeout: float = 20) -> str | None:
    """What is wrong with an address; None if it answers."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0"})
    try:
        with urllib.request.urlopen(request, timeout=timeout):
            return None
    except urllib.error.HTTPError as error:
        return None if error.code in GUARDED else f"answers {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
