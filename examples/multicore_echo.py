"""An echo server on all cores: several processes serve one port, and one looks after them.

    python examples/multicore_echo.py [--port 7000] [--workers 4] [--status 127.0.0.1:7001]

Try it with ``nc 127.0.0.1 7000``: each line comes back with the number of the process that has served it. ``kill -9``
that process, and another takes its place. ``kill -HUP`` the first process (it says its number) for new workers, without
a connection lost; ``kill -USR1`` it to see what the workers do. Ctrl-C ends it, when all clients have gone or after ten
seconds.
"""

import argparse
import os
import sys

from greenio.server import StreamServer


def echo(sock, address):
    with sock.makefile("rwb") as lines:
        for line in lines:
            lines.write(b"%d: %b" % (os.getpid(), line))
            lines.flush()


def main():
    parser = argparse.ArgumentParser(description="An echo server in several processes.")
    parser.add_argument("--port", type=int, default=7000, help="0 for any free port; default: %(default)s")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="default: one for each core")
    parser.add_argument("--status", metavar="ADDRESS", help="where /healthz and /metrics are answered")
    options = parser.parse_args()
    server = StreamServer(("127.0.0.1", options.port), echo)
    try:
        # It tells where it listens, what becomes of the workers, and when it ends.
        server.serve_forever(workers=options.workers, drain=10, status=options.status)
    except OSError as error:
        sys.exit(f"cannot listen: {error}")
    print("ended")


if __name__ == "__main__":
    main()
