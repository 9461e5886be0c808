"""A client for an echo server: sends each line of standard input and prints what comes back.

python examples/echo_client.py [--host 127.0.0.1] [--port 7000]
"""

import argparse
import sys

from greenio.socket import create_connection


def main():
    parser = argparse.ArgumentParser(description="Send lines to an echo server.")
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument("--port", type=int, default=7000, help="default: %(default)s")
    options = parser.parse_args()
    try:
        sock = create_connection((options.host, options.port), timeout=10)
    except OSError as error:
        sys.exit(f"nobody answers on {options.host}:{options.port} ({error}); start examples/echo_server.py first")
    with sock, sock.makefile("rb") as answers:
        if sys.stdin.isatty():
            print("Type a line; end with Ctrl-D.")
        for line in sys.stdin:
            sock.sendall(line.encode())
            answer = answers.readline()
            if not answer:
                sys.exit("the server closed the connection")
            print(answer.decode(), end="", flush=True)


if __name__ == "__main__":
    main()
