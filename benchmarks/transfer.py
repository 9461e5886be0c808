"""1 GiB through one connection to a process with plain sockets: prints CPU milliseconds of this end.

python benchmarks/transfer.py greenio|gevent|plain sendall|recv_into
"""

import importlib
import os
import socket as standard
import sys
import time

TOTAL = 1 << 30
BLOCK = 1 << 20


def send(sock):
    sock.sendall(bytes(TOTAL))


def receive(sock):
    buffer = bytearray(BLOCK)
    while sock.recv_into(buffer):
        pass


def main():
    library, direction = sys.argv[1:]
    socket = standard if library == "plain" else importlib.import_module(f"{library}.socket")
    listener = standard.create_server(("127.0.0.1", 0))
    child = os.fork()
    if child == 0:
        peer, _ = listener.accept()
        (receive if direction == "sendall" else send)(peer)
        os._exit(0)
    with socket.create_connection(listener.getsockname()) as sock:
        begun = time.process_time()
        (send if direction == "sendall" else receive)(sock)
        print((time.process_time() - begun) * 1000)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
