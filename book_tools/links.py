"""Do the links that leave the book still lead somewhere? Needs the network."""

import concurrent.futures
import html
import re
import urllib.error
import urllib.request
from collections import defaultdict

from book_tools.layout import BookError, Layout

# Publishers refuse scripts with these; the page is there for a person.
GUARDED = {401, 403, 405, 406, 418, 429, 503}


def outside_links(layout: Layout) -> dict[str, list[str]]:
    """Every address outside the book, with the pages that name it."""
    pages = sorted(layout.html.glob("*.html"))
    if not pages:
        raise BookError("there is no built book yet: run make book first")
    found = defaultdict(list)
    for page in pages:
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
