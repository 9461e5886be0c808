"""A crawler: follows links from page to page, a bounded number at a time, and few at each host.

Failed pages are tried again after a while, slow ones are given up, and a line shows how far it is. Without an address
it crawls a small site of two hosts that it serves itself.

python examples/crawler.py [address] [--pages 200] [--at-once 20] [--per-host 4] [--attempts 3] [--timeout 10]
"""

from greenio import monkey

monkey.patch_all()  # urllib lets other greenlets run while it waits

import argparse  # noqa: E402
import random  # noqa: E402
import sys  # noqa: E402
from collections import Counter  # noqa: E402
from html.parser import HTMLParser  # noqa: E402
from http.client import HTTPException  # noqa: E402
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # noqa: E402
from urllib.error import HTTPError  # noqa: E402
from urllib.parse import urldefrag, urljoin, urlsplit  # noqa: E402
from urllib.request import ProxyHandler, build_opener  # noqa: E402

import greenio  # noqa: E402
from greenio.lock import Semaphore  # noqa: E402

PAGE_LIMIT = 1_000_000  # bytes of a page that are read


class Links(HTMLParser):
    """The addresses that a page links to."""

    def __init__(self, address, text):
        super().__init__()
        self.address, self.found = address, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag == "a" and href:
            link = urldefrag(urljoin(self.address, href)).url
            if link.startswith(("http://", "https://")):
                self.found.append(link)


class Crawler:
    """Visits pages. Each page is a greenlet; semaphores bound how many of them ask a server at the same time."""

    def __init__(self, pages, at_once, per_host, attempts, timeout):
        self.pages, self.attempts, self.timeout = pages, attempts, timeout
        self.at_once = Semaphore(at_once)
        self.per_host, self.hosts = per_host, {}
        self.seen = set()
        self.counts = Counter()
        self.opener = build_opener(ProxyHandler({}))

    def crawl(self, start):
        """Visit a page, and all that can be reached from it. Returns when the last one is done."""
        with greenio.TaskGroup() as self.group:
            self.add(start)

    def add(self, address):
        """Visit a page, unless it was visited already or there are enough."""
        if address not in self.seen and len(self.seen) < self.pages:
            self.seen.add(address)
            self.group.spawn(self.visit, address)

    def visit(self, address):
        try:
            text = self.fetch(address)
        except (OSError, HTTPException) as error:
            self.counts["failed"] += 1
            print(f"\r{address}: {error}")
        else:
            self.counts["done"] += 1
            for link in Links(address, text).found:
                self.add(link)
        self.show()

    def fetch(self, address):
        """The text of a page. Raises OSError or HTTPException when the last attempt fails."""
        host = self.hosts.setdefault(urlsplit(address).netloc, Semaphore(self.per_host))
        for attempt in range(1, self.attempts + 1):
            try:
                # The host's turn first: who waits for a busy host takes no place from the others.
                with host, self.at_once, greenio.fail_after(self.timeout):
                    with self.opener.open(address, timeout=self.timeout) as response:
                        return response.read(PAGE_LIMIT).decode("utf-8", "replace")
            except (OSError, HTTPException) as error:
                hopeless = isinstance(error, HTTPError) and error.code < 500
                if hopeless or attempt == self.attempts:
                    raise
                self.counts["retried"] += 1
            # Longer each time, and not for all at the same moment.
            greenio.sleep(random.uniform(0.5, 1) * 0.1 * 2**attempt)

    def show(self):
        done = self.counts["done"] + self.counts["failed"]
        print(f"\r{done}/{len(self.seen)} pages, {self.counts['failed']} failed", end="", flush=True)


class Site(BaseHTTPRequestHandler):
    """A host of the small site. Page 7 fails at the first attempt, page 11 gives no answer, page 99 does not exist."""

    tried = set()
    busy, busiest = Counter(), Counter()
    others = []  # the port of each host

    def do_GET(self):
        port, number = self.server.server_port, int(self.path[1:])
        self.busy[port] += 1
        self.busiest[port] = max(self.busiest[port], self.busy[port])
        try:
            greenio.sleep(0.01)
            self.answer(port, number)
        finally:
            self.busy[port] -= 1

    def answer(self, port, number):
        if number == 99:
            self.send_error(404)
        elif number == 11:
            self.close_connection = True
        elif number == 7 and port not in self.tried:
            self.tried.add(port)
            self.send_error(503)
        else:
            self.send_response(200)
            self.end_headers()
            links = [f"/{3 * number + each}" for each in (1, 2, 3) if 3 * number + each < 40]
            links += [f"http://127.0.0.1:{other}/{number}" for other in self.others] + ["/99"] * (number == 5)
            self.wfile.write("".join(f'<a href="{link}">{link}</a>' for link in links).encode())

    def log_message(self, *args):
        pass


class Host(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def serve_site():
    """Serve two hosts; the address of a page."""
    hosts = [Host(("127.0.0.1", 0), Site) for _ in range(2)]
    Site.others = [host.server_port for host in hosts]
    for host in hosts:
        greenio.spawn(host.serve_forever)
    return f"http://127.0.0.1:{hosts[0].server_port}/0"


def main():
    parser = argparse.ArgumentParser(description="Follow links from page to page.")
    parser.add_argument("address", nargs="?", help="where to begin; default: a small site on loopback")
    parser.add_argument("--pages", type=int, default=200, help="how many at most; default: %(default)s")
    parser.add_argument("--at-once", type=int, default=20, help="requests at a time; default: %(default)s")
    parser.add_argument("--per-host", type=int, default=4, help="of these at one host; default: %(default)s")
    parser.add_argument("--attempts", type=int, default=3, help="for each page; default: %(default)s")
    parser.add_argument("--timeout", type=float, default=10, help="seconds for an attempt; default: %(default)s")
    options = parser.parse_args()
    crawler = Crawler(options.pages, options.at_once, options.per_host, options.attempts, options.timeout)
    crawler.crawl(options.address or serve_site())
    counts = crawler.counts
    print(f"\n{counts['done']} pages, {counts['failed']} failed, {counts['retried']} attempts repeated")
    if Site.busiest:
        print(f"at most {max(Site.busiest.values())} requests at a time at one host")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
