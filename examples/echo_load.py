"""Puts load on any echo server: many connections, each sending a message and waiting for it to come back.

    python examples/echo_load.py --port 7000 --connections 50 --size 1024 --seconds 5

Prints requests per second, and how long requests took. Compares every byte that comes back.
"""

import argparse
import sys
import time

import greenio
from greenio.socket import create_connection


class Load:
    """The clients' common numbers."""

    def __init__(self, options):
        self.options = options
        self.message = bytes(range(256)) * (options.size // 256 + 1)
        self.message = self.message[: options.size]
        self.latencies = []
        self.deadline = 0.0

    def client(self):
        """One connection: send, receive, compare, until the time is over."""
        options, message = self.options, self.message
        buffer = bytearray(options.size)
        with create_connection((options.host, options.port), timeout=30) as sock:
            while True:
                begun = time.monotonic()
                if begun >= self.deadline:
                    return
                sock.sendall(message)
                view = memoryview(buffer)
                while view:
                    count = sock.recv_into(view)
                    if not count:
                        raise ConnectionError("the server closed the connection")
                    view = view[count:]
                if buffer != message:
                    raise ValueError("the server sent back something else")
                self.latencies.append(time.monotonic() - begun)

    def show_progress(self):
        """A line on the terminal, twice a second."""
        while True:
            greenio.sleep(0.5)
            left = max(0.0, self.deadline - time.monotonic())
            print(f"\r{len(self.latencies)} requests, {left:.1f} s left ", end="", file=sys.stderr, flush=True)

    def run(self):
        """Run all clients; return how many seconds it took."""
        begun = time.monotonic()
        self.deadline = begun + self.options.seconds
        clients = [greenio.spawn(self.client) for _ in range(self.options.connections)]
        progress = greenio.spawn(self.show_progress) if sys.stderr.isatty() else None
        try:
            greenio.joinall(clients, raise_error=True)
        finally:
            greenio.killall(clients)
            if progress is not None:
                progress.kill()
                print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
        return time.monotonic() - begun

    def report(self, seconds):
        """The results, as text."""
        if not self.latencies:
            return "no request was answered in time"
        ordered = sorted(self.latencies)

        def percentile(share):
            return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

        return (
            f"{len(ordered)} requests of {self.options.size} bytes over {self.options.connections} connections "
            f"in {seconds:.2f} seconds: {len(ordered) / seconds:.0f} requests/s\n"
            f"latency in ms: p50 {percentile(0.5):.2f}  p90 {percentile(0.9):.2f}  "
            f"p99 {percentile(0.99):.2f}  max {ordered[-1] * 1000:.2f}"
        )


def positive(kind):
    """An argument type: a number greater than 0."""

    def convert(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError("must be greater than 0")
        return value

    return convert


def main():
    parser = argparse.ArgumentParser(description="Put load on an echo server.")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=7000, help="default: %(default)s")
    parser.add_argument("--connections", type=positive(int), default=50, help="default: %(default)s")
    parser.add_argument("--size", type=positive(int), default=1024, help="bytes in a message (default: %(default)s)")
    parser.add_argument("--seconds", type=positive(float), default=5, help="default: %(default)s")
    load = Load(parser.parse_args())
    # A failing client is reported once, below, and not by its greenlet as well.
    greenio.get_hub().exception_stream = None
    try:
        seconds = load.run()
    except (OSError, ValueError) as error:
        sys.exit(f"the load test failed: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
    print(load.report(seconds))


if __name__ == "__main__":
    main()
