"""Serves on a Unix socket until its standard input ends; prints whether it serves."""

import sys

from greenio.server import StreamServer


def echo(sock, address):
    while data := sock.recv(1000):
        sock.sendall(data)


server = StreamServer(f"unix:{sys.argv[1]}", echo)
try:
    server.start()
except OSError as error:
    print("in use" if "in use" in str(error) else error, flush=True)
else:
    from greenio.fileobject import FileObject

    print("serves", flush=True)
    FileObject(0, "rb", closefd=False).read()
    server.stop()
