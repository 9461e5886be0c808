"""Runs the code blocks of a document, in order, in one namespace.

Standard input has them as JSON (list of [line, code]); the arguments are the document's name and the folder to run in.
After each block a line with a mark is printed. This program does for the document what its reader would do by hand: a
server that would serve for ever has one client and stops; a port that a document names becomes a free one.
"""

import contextlib
import json
import os
import re
import sys

PROCESS = os.getpid()


def serve_one(server, stop_timeout=None):
    """A serve_forever() that ends after one client. In a forked child it is the usual one."""
    import greenio.socket

    if os.getpid() != PROCESS:
        return serve_forever(server, stop_timeout)
    server.start()
    address = ("127.0.0.1", server.server_port)
    # A server for TLS hangs up.
    with contextlib.suppress(OSError), greenio.socket.create_connection(address, timeout=30) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.shutdown(greenio.socket.SHUT_WR)
        while client.recv(65536):
            pass
    server.stop(stop_timeout)


def prepare():
    from greenio.baseserver import BaseServer

    global serve_forever
    serve_forever = BaseServer.serve_forever
    BaseServer.serve_forever = serve_one


def give_input():
    """Put a few lines into standard input."""
    reading, writing = os.pipe()
    os.write(writing, b"a line\n" * 3)
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    sys.stdin = sys.__stdin__ = open(0)  # noqa: SIM115  (to the end)


def main():
    document, folder = sys.argv[1:]
    blocks = json.load(sys.stdin)
    give_input()
    sys.path.insert(0, folder)
    sys.argv[1:] = []
    namespace = {"__name__": "__main__"}
    if not any("monkey" in code for _, code in blocks):
        prepare()
    for line, code in blocks:
        code = re.sub(r'(?<="127\.0\.0\.1", )[78]\d\d\d(?=\))', "0", code)
        exec(compile("\n" * (line - 1) + code, document, "exec"), namespace)
        print("\x1e", flush=True)


if __name__ == "__main__":
    main()
