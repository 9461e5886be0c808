"""A handler for stream servers, a client that asks one question, and a check that nobody listens."""

import pytest

from greenio.socket import create_connection


def echo(sock, address):
    """Send everything back that is received."""
    while data := sock.recv(1000):
        sock.sendall(data)


def ask(server, message=b"hello"):
    """Send a server one message; return its answer (bytes)."""
    with create_connection(server.address, timeout=30) as sock:
        sock.sendall(message)
        return sock.recv(1000)


def check_refused(server):
    """Check that a server does not listen any more."""
    with pytest.raises(ConnectionRefusedError):
        create_connection(server.address, timeout=30)
