"""Checks the links of the site that was built: each leads to a file that is there, and to a place in it.

    python docs/making/check_links.py build/site

Links to other sites are not followed. But nothing that a page needs to be shown may come from one: no script, style or
font.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.needed, self.places = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.places |= {attributes.get("id"), attributes.get("name")}
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        elif attributes.get("src"):
            self.needed.append(attributes["src"])
        elif tag == "link" and attributes.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.needed.append(attributes["href"])


def wrong_links(site):
    """What is wrong, one sentence for each link (iterator of str)."""
    pages = {path: Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        if path.name == "404.html":
            continue  # its links are absolute: it is shown at any address
        shown = path.relative_to(site)
        for link in page.needed:
            if urlsplit(link).netloc:
                yield f"{shown} needs {link}, of another site"
        for link in page.links + page.needed:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{shown} links to {link}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{shown} links to {link}, and there is no such place in that page"


def main():
    site = Path(sys.argv[1]).resolve()
    wrong = list(wrong_links(site))
    print(*wrong, sep="\n")
    if wrong or not (site / "index.html").is_file():
        sys.exit(f"{len(wrong)} wrong links in {site}")
    print("all links lead somewhere")


if __name__ == "__main__":
    main()
