"""Downloads many files at once with an ordinary threaded script: urllib, threads, a queue.

Only the first two lines know of greenlets. It needs nothing but the standard library, and starts its own server on
loopback.

python examples/patched_requests.py [--files 40] [--at-once 20]
"""

from greenio import monkey

monkey.patch_all()

import argparse  # noqa: E402
import queue  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import urllib.request  # noqa: E402
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer  # noqa: E402

WIDTH = 40


class Files(BaseHTTPRequestHandler):
    """A slow server: each answer takes a while, as if it came from far away."""

    def do_GET(self):
        body = self.path.encode() * 1000
        time.sleep(0.05)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 100


def download(opener, addresses, sizes):
    while True:
        try:
            address = addresses.get_nowait()
        except queue.Empty:
            return
        with opener.open(address, timeout=30) as response:
            sizes.put(len(response.read()))


def show(done, total):
    filled = WIDTH * done // total
    print(f"\r[{'#' * filled:{WIDTH}}] {done}/{total}", end="", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Download many files at once.")
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--at-once", type=int, default=20)
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), Files)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    addresses, sizes = queue.Queue(), queue.Queue()
    for number in range(options.files):
        addresses.put(f"http://127.0.0.1:{server.server_port}/{number}")
    started = time.monotonic()
    for _ in range(options.at_once):
        threading.Thread(target=download, args=(opener, addresses, sizes)).start()
    received = 0
    show(0, options.files)
    for done in range(1, options.files + 1):
        received += sizes.get(timeout=30)
        show(done, options.files)
    took = time.monotonic() - started
    print(f"\n{received} bytes, {options.at_once} at a time, in {took:.2f} seconds")
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    sys.exit(main())
