"""An echo server: a greenlet for each connection, plain blocking calls.

    python examples/echo_server.py [--host 127.0.0.1] [--port 7000]

Try it with ``nc 127.0.0.1 7000``, or with echo_client.py and echo_load.py. Ctrl-C ends it.
"""

import argparse
import contextlib
import signal
import sys
import time

from greenio.server import StreamServer


class EchoServer(StreamServer):
    """Sends back what it receives, and counts."""

    connections = messages = received = 0

    def handle(self, sock, address):
        self.connections += 1
        try:
            while data := sock.recv(65536):
                self.messages += 1
                self.received += len(data)
                sock.sendall(data)
        except ConnectionError:
            pass  # the client went away in the middle: nothing to report


def main():
    parser = argparse.ArgumentParser(description="An echo server.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7000, help="the port; 0 for any (default: %(default)s)")
    options = parser.parse_args()
    # The end is the same for Ctrl-C and for a service manager's SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = EchoServer((options.host, options.port))
    try:
        server.start()
    except OSError as error:
        sys.exit(f"cannot listen: {error}")
    host, port = server.address[:2]
    print(f"echo server on {host}:{port}; try: nc {host} {port}", flush=True)
    started = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
    seconds = time.monotonic() - started
    print(
        f"\n{server.connections} connections, {server.messages} messages, {server.received} bytes "
        f"in {seconds:.1f} seconds"
    )


if __name__ == "__main__":
    main()
